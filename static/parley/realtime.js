// The realtime side of Parley for browsers, without dependencies: events arrive once and in order,
// and messages that are sent are stored once, whatever is lost on the way. docs/realtime.md has the
// rules that it follows, and shows its use under "From a browser".
//
// Each tab has a socket of its own. Tabs of one user share the messages that wait to be sent, and
// two of them may send the same one: the server stores it once, by its client id.

/** @typedef {import("./frames.js").Commands} Commands */
/** @typedef {import("./frames.js").Answers} Answers */
/** @typedef {import("./frames.js").Events} Events */
/** @typedef {import("./frames.js").Signals} Signals */
/** @typedef {import("./frames.js").SocketFrames} SocketFrames */
/** @typedef {import("./frames.js").Message} Message */
/** @typedef {Events & Signals & SocketFrames} Frames */

/**
 * A frame of the server. Events have a stream and a seq.
 * @template {keyof Frames} T
 * @typedef {object} Frame
 * @property {T} type
 * @property {Frames[T]} data
 * @property {string} timestamp
 * @property {string} [requestId]
 * @property {string} [stream]
 * @property {number} [seq]
 */

/** @typedef {{type: "ack", data: object, requestId?: string}} Ack */
/** @typedef {{[T in keyof Frames]: Frame<T>}[keyof Frames] | Ack} AnyFrame */

/**
 * - `connecting`: a socket is being opened.
 * - `open`: a socket is open.
 * - `polling`: no socket can be opened, and events are fetched over HTTP.
 * - `waiting`: there is no connection, and the next attempt comes by itself.
 * - `closed`: it is over. Call connect() again for a new beginning, such as after a login.
 * @typedef {"connecting" | "open" | "polling" | "waiting" | "closed"} State
 */

/**
 * What is told besides the frames of the server: the state, with the close code of the last socket;
 * and a message that was kept until it was sent, and that the server then refused.
 * @typedef {object} Notices
 * @property {{state: State, code?: number}} state
 * @property {{clientId: string, draft: Commands["chat_message"], error: RealtimeError}} refused
 */

/**
 * Frames that the application is not told of: answers to what it sends, and what this module handles.
 * @typedef {"connected" | "error" | "heartbeat" | "pong" | "presence" | "reset" | "subscribed"} Internal
 */

/** @typedef {Events & Signals & Omit<SocketFrames, Internal> & Notices} Handled */

/** @typedef {Record<string, number> | void} Held */

/**
 * @typedef {object} Options
 * @property {string} userId The user who is logged in.
 * @property {(refused: boolean) => string | Promise<string>} token Returns an access token: a new
 *   one if the server has refused the last one. If it throws, it is called again later. If it
 *   returns an empty text, nobody is logged in any more, and the connection closes.
 * @property {(streams: string[]) => Held | Promise<Held>} refetch Fetches over REST what streams are
 *   about. It is called for each stream at its beginning, and again when events are lost for good.
 *   Their next events wait for it; if it fails, it is called again. It may return up to which event
 *   it has fetched, as `meta.streams` of a list says: exactly the events after that follow.
 * @property {string[]} [streams] Streams to subscribe to, besides those that the server chooses.
 * @property {string} [url] The server; without it, the one that this module comes from.
 */

/**
 * A message that waits to be sent.
 * @typedef {object} Item
 * @property {string} clientId
 * @property {number} order When it was kept, in milliseconds; larger than that of the one before.
 * @property {Commands["chat_message"]} draft
 * @property {boolean} adopted Another tab has kept it, or this page before a reload.
 * @property {number} failures How often the server failed at it.
 */

/**
 * What is known of a stream.
 * @typedef {object} Place
 * @property {number | null} seq The last event that was handled; null if any may come next.
 * @property {number} head
 * @property {string} epoch
 * @property {Socket | null} asked The socket over which `subscribe` waits for its answer.
 * @property {number} failures How often `subscribe` has brought nothing.
 * @property {boolean} stale The application must fetch what the stream is about.
 * @property {boolean} fetching The application fetches it.
 */

/** Seconds. Tests shorten them. */
export const SECONDS = {
  /** For a socket to open, and for a request. */
  connect: 15,
  /** Without a frame until the server is asked for one. It sends one every 25 seconds. */
  silence: 35,
  /** For the answer to that. */
  pong: 10,
  /** For the answer to any other command. */
  answer: 30,
  /** After which a connection counts as good, and the next attempt comes soon again. */
  good: 10,
  /** Between two attempts at most. */
  longest: 30,
  /** At least, and at most, until a server that restarts is tried again. */
  restarting: [1, 10],
  /** Between attempts to open a socket while events are fetched over HTTP. */
  blocked: 60,
  /** That a server, or a proxy before it, may ask to be left alone. A timer takes 24 days at most. */
  patience: 3600,
  /** That a request for events waits for some. */
  poll: 25,
  /** Until the next request for events after one that brought none although it had not waited. */
  early: 1,
};

export const LIMITS = {
  /** Messages that wait to be sent. */
  pending: 100,
  /** Bytes of a frame: the server takes 64 KiB. */
  bytes: 60_000,
  /** Sockets in a row that do not open, although the server issues tickets. */
  unopened: 3,
  /** Streams in one request for events. */
  streams: 20,
  /** Refusals of a message by INTERNAL_ERROR. */
  failures: 5,
  /** Frames a second, and at once: the server allows 20, and 60 at once. */
  rate: 15,
  burst: 40,
};

/** Close codes of which the number alone does not say what to do. */
export const CLOSE = { restarting: 1012, unauthorized: 4401 };
/** From this close code on a client does not come back by itself. */
export const FINAL = 4500;
/** The code of a socket that ended without a close frame. */
const BROKEN = 1006;
/** The code of a connection that the application closed. */
const CLOSED = 1000;
/** The code when the server takes no token of the user, or the application has none. */
const LOGGED_OUT = 0;

/** Refusals after which the same message is sent again. */
export const TRANSIENT = [
  "INTERNAL_ERROR",
  "RATE_LIMIT_EXCEEDED",
  "REQUEST_TIMEOUT",
  "SERVICE_UNAVAILABLE",
  "UNAUTHORIZED",
];

/** Refusals of a request for events that concern its streams. */
export const FORBIDDEN_STREAM = ["NOT_FOUND", "VALIDATION_ERROR"];

/**
 * Why a command was not carried out. `code` is one of the server's (docs/errors.md), or
 * - `NOT_CONNECTED`: there is no connection, or it broke before the answer came.
 * - `CLOSED`: the connection was closed. A chat_message is kept, and sent after the next connect().
 * - `TOO_MANY_PENDING`: too many messages wait already.
 * - `TOO_BIG`: the server does not take frames of that size.
 */
export class RealtimeError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{errors?: unknown, retryAfter?: number}} [more] Wrong fields, and seconds to wait.
   */
  constructor(code, message, more = {}) {
    super(message);
    this.name = "RealtimeError";
    this.code = code;
    this.errors = more.errors;
    this.retryAfter = more.retryAfter ?? 0;
  }
}

const notConnected = () => new RealtimeError("NOT_CONNECTED", "There is no connection.");

/**
 * Connect a user to Parley, and stay connected until close().
 * @param {Options} options
 * @returns {Realtime}
 */
export function connect(options) {
  return new Realtime(options);
}

/** One user's connection. */
export class Realtime {
  #userId;
  #refetch;
  #socketUrl;
  #api;
  #pending;
  /** @type {State} */
  #state = "connecting";
  /** @type {Map<string, Set<(data: any, frame: any) => void>>} */
  #handlers = new Map();
  /** @type {Map<string, Place>} */
  #places = new Map();
  /** @type {Set<string>} */
  #unwanted = new Set();
  /** @type {Map<string, Deferred<any>>} */
  #promises = new Map();
  /** The socket, from the attempt to open it. @type {Socket | null} */
  #socket = null;
  /** Ends the fetching of events over HTTP. @type {AbortController | null} */
  #polling = null;
  #sleepers = new Sleepers();
  #flushing = false;
  /** @type {Promise<void> | null} */
  #fetching = null;

  /** @param {Options} options */
  constructor({ userId, token, refetch, streams = [], url = new URL(import.meta.url).origin }) {
    this.#userId = userId;
    this.#refetch = refetch;
    this.#socketUrl = `${url.replace(/^http/, "ws")}/ws`;
    this.#api = new Api(`${url}/api/v1`, token);
    this.#pending = new PendingSends(`parley ${url} ${userId} `);
    for (const name of [`user.${userId}`, ...streams]) this.#places.set(name, newPlace());
    addEventListener("online", this.#wake);
    addEventListener("offline", this.#wake);
    document.addEventListener("visibilitychange", this.#wake);
    this.#run();
  }

  /** The socket, if it is open. */
  get #live() {
    return this.#socket?.open ? this.#socket : null;
  }

  /** How the connection is. */
  get state() {
    return this.#state;
  }

  /** The messages that wait to be sent, those from before a reload too, the oldest first. */
  get pending() {
    return this.#pending.items().map(({ clientId, draft }) => ({ ...draft, clientId }));
  }

  /**
   * Call a function for each event, signal or notice of a type.
   * @template {keyof Handled} T
   * @param {T} type
   * @param {(data: Handled[T], frame: T extends keyof Frames ? Frame<T> : null) => void} handler
   * @returns {() => void} Ends it.
   */
  on(type, handler) {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /**
   * Send a command, and return its answer.
   *
   * A `chat_message` is kept until the server has answered it, over a reload too, and sent in its
   * turn: none is lost or stored twice. Other commands need an open socket.
   * @template {Exclude<keyof Commands, "subscribe" | "unsubscribe" | "ping">} T
   * @param {T} type
   * @param {Commands[T]} data
   * @returns {Promise<Answers[T]>} It rejects with a RealtimeError.
   */
  send(type, data) {
    if (this.#state === "closed") return Promise.reject(closed());
    if (new TextEncoder().encode(JSON.stringify(data)).length > LIMITS.bytes) {
      return Promise.reject(new RealtimeError("TOO_BIG", "This is too much for one frame."));
    }
    if (type === "chat_message") return this.#keep(/** @type {Commands["chat_message"]} */ (data));
    return this.#live ? this.#live.ask(type, data) : Promise.reject(notConnected());
  }

  /**
   * Subscribe to one more stream.
   * @param {string} stream
   */
  subscribe(stream) {
    this.#unwanted.delete(stream);
    if (this.#places.has(stream)) return;
    this.#places.set(stream, newPlace());
    this.#resume(stream);
  }

  /**
   * Receive nothing more of a stream.
   * @param {string} stream
   */
  unsubscribe(stream) {
    this.#places.delete(stream);
    this.#unwanted.add(stream);
    this.#live?.ask("unsubscribe", { stream }).catch(() => {});
  }

  /**
   * Close the connection. Messages that wait to be sent stay in this browser for the next connect()
   * of the same user, unless they are to be forgotten, as after a logout.
   * @param {{forget?: boolean}} [how]
   */
  close({ forget = false } = {}) {
    if (forget) this.#pending.forget();
    this.#finish(CLOSED);
  }

  // The connection: one attempt after the other.

  async #run() {
    let failures = 0;
    let unopened = 0;
    while (!this.#over()) {
      const { code, wait, lasted } = await this.#attempt();
      if (this.#over()) return;
      if (code === LOGGED_OUT || (code >= FINAL && code < 5000)) return this.#finish(code);
      if (code === CLOSE.unauthorized) this.#api.refused();
      failures = (lasted ?? 0) > SECONDS.good ? 0 : failures + 1;
      if (lasted !== undefined) unopened = lasted ? 0 : unopened + 1;
      if (unopened >= LIMITS.unopened && navigator.onLine) this.#poll();
      if (!this.#polling) this.#become("waiting", code);
      if (code === CLOSE.restarting) await restarted();
      else if (this.#polling) await this.#sleepers.sleep(Math.max(wait, SECONDS.blocked));
      else await this.#sleepers.sleep(Math.max(wait, pauseAfter(failures)));
    }
  }

  /**
   * Open a socket, and return by which code it ended, how many seconds it was open, if it was tried
   * at all, and how many the server asks to wait.
   * @returns {Promise<{code: number, wait: number, lasted?: number}>}
   */
  async #attempt() {
    if (!this.#polling) this.#become("connecting");
    try {
      const { ticket } = await this.#api.call("POST", "/auth/ws-ticket");
      if (this.#over()) return { code: CLOSED, wait: 0 };
      const address = `${this.#socketUrl}?ticket=${encodeURIComponent(ticket)}`;
      const socket = new Socket(address, (frame) => this.#receive(frame, socket));
      this.#socket = socket;
      const code = await socket.closed;
      return { code, wait: 0, lasted: socket.openedAt && (Date.now() - socket.openedAt) / 1000 };
    } catch (error) {
      if (!(error instanceof RealtimeError)) throw error;
      return { code: error.code === "UNAUTHORIZED" ? LOGGED_OUT : BROKEN, wait: error.retryAfter };
    }
  }

  /**
   * The page came to the front, or its network came or went: see at once how the connection is.
   * @param {Event} event
   */
  #wake = ({ type }) => {
    if (type === "offline") return this.#socket?.end(BROKEN);
    if (type === "visibilitychange" && document.hidden) return;
    this.#live?.probe();
    this.#sleepers.wake();
  };

  #over() {
    return this.#state === "closed";
  }

  /**
   * @param {State} state
   * @param {number} [code]
   */
  #become(state, code) {
    if (this.#state === state || this.#over()) return;
    this.#state = state;
    this.#emit("state", code === undefined ? { state } : { state, code }, null);
  }

  /** @param {number} code */
  #finish(code) {
    if (this.#over()) return;
    this.#become("closed", code || CLOSE.unauthorized);
    this.#polling?.abort();
    this.#socket?.end(CLOSED);
    this.#sleepers.wake();
    removeEventListener("online", this.#wake);
    removeEventListener("offline", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    for (const { reject } of this.#promises.values()) reject(closed());
    this.#promises.clear();
  }

  /**
   * @param {string} type
   * @param {unknown} data
   * @param {unknown} frame
   */
  #emit(type, data, frame) {
    for (const handler of this.#handlers.get(type) ?? []) {
      // A handler that fails must not cost the others their event.
      try {
        handler(data, frame);
      } catch (error) {
        reportError(error);
      }
    }
  }

  // Frames.

  /**
   * @param {AnyFrame} frame
   * @param {Socket} socket
   */
  #receive(frame, socket) {
    switch (frame.type) {
      case "connected":
        return this.#connected(frame.data, socket);
      case "heartbeat":
      case "pong":
        for (const [name, head] of Object.entries(frame.data.streams)) this.#notice(name, head);
        return this.#adopt(SECONDS.silence);
      case "subscribed":
        return this.#subscribed(frame.data);
      case "reset":
        return this.#reset(frame.data);
      case "unsubscribed":
        this.#places.delete(frame.data.stream);
        return this.#emit(frame.type, frame.data, frame);
      case "ack":
      case "error":
      case "presence":
        return;
      default:
        if (frame.stream && frame.seq) this.#event(frame.stream, frame.seq, frame);
        else this.#emit(frame.type, frame.data, frame);
    }
  }

  /**
   * @param {SocketFrames["connected"]} data
   * @param {Socket} socket
   */
  #connected({ user, streams }, socket) {
    // The token is another user's: nothing of this one may be sent with it.
    if (user.id !== this.#userId) return this.#finish(LOGGED_OUT);
    this.#polling?.abort();
    this.#polling = null;
    this.#become("open");
    for (const place of this.#places.values()) place.failures = 0;
    for (const [name, head] of Object.entries(streams)) {
      if (this.#unwanted.has(name)) {
        socket.ask("unsubscribe", { stream: name }).catch(() => {});
        continue;
      }
      const place = this.#places.get(name) ?? newPlace();
      this.#places.set(name, place);
      if (place.seq === null) begin(place, head);
      else this.#notice(name, head);
    }
    // The server does not subscribe by itself to the others, or not any more. And the answer tells the
    // epoch of the user's own stream, by which a restored backup is noticed even if it has as many
    // events. That of another stream is asked for with its first event: a user may have hundreds.
    for (const name of this.#places.keys()) {
      if (!(name in streams) || name === `user.${this.#userId}`) this.#resume(name);
    }
    this.#fetch();
    this.#adopt(0);
  }

  /**
   * Handle an event if it is the next one, and ask for those that are missing before it.
   * @param {string} stream
   * @param {number} seq
   * @param {{type: string, data: unknown}} frame
   */
  #event(stream, seq, frame) {
    const place = this.#places.get(stream);
    if (!place) return;
    place.head = Math.max(place.head, seq);
    if (place.stale || place.fetching) return;
    if (place.seq !== null && seq <= place.seq) return;
    if (place.seq !== null && seq > place.seq + 1) return this.#resume(stream);
    place.seq = seq;
    place.failures = 0;
    this.#emit(frame.type, frame.data, frame);
    if (!place.epoch) this.#resume(stream);
  }

  /**
   * Learn the head of a stream, and ask for what is missing up to it.
   * @param {string} stream
   * @param {number} head
   */
  #notice(stream, head) {
    const place = this.#places.get(stream);
    if (!place) return;
    // The server has sent all that was before the first heartbeat.
    place.seq ??= head;
    place.head = head;
    if (head !== place.seq && !place.stale && !place.fetching) this.#resume(stream);
  }

  /**
   * Subscribe to a stream after the last event that was handled.
   * @param {string} stream
   */
  async #resume(stream) {
    const place = this.#places.get(stream);
    const socket = this.#live;
    if (!place || !socket || place.asked === socket) return;
    place.asked = socket;
    try {
      // What is missing again and again must not be asked for without a pause.
      if (place.failures++) await this.#sleepers.sleep(pauseAfter(place.failures));
      const { seq } = place;
      const after = seq === null ? {} : { after: seq };
      const epoch = place.epoch ? { epoch: place.epoch } : {};
      await socket.ask("subscribe", { stream, ...after, ...epoch });
      // Meanwhile the application may have said that it has fetched less than this asked for.
      if (seq !== null && (place.seq ?? seq) < seq) this.#resume(stream);
    } catch (error) {
      if (!socket.open || this.#places.get(stream) !== place) return;
      place.asked = null;
      if (isTransient(error)) this.#resume(stream);
      else this.#lose(stream);
    }
  }

  /**
   * Tell the application that its user may not read a stream.
   * @param {string} stream
   */
  #lose(stream) {
    this.#places.delete(stream);
    this.#emit("unsubscribed", { stream }, null);
  }

  /** @param {SocketFrames["subscribed"]} data */
  #subscribed({ stream, head, epoch, recovered }) {
    const place = this.#answered(stream, epoch);
    if (!place) return;
    place.head = head;
    if (place.seq === head) place.failures = 0;
    if (!recovered) {
      begin(place, head);
      this.#fetch();
    }
  }

  /** @param {SocketFrames["reset"]} data */
  #reset({ stream, head, epoch }) {
    const before = this.#places.get(stream)?.epoch;
    const place = this.#answered(stream, epoch);
    if (!place) return;
    begin(place, head);
    this.#fetch();
    // A backup that was restored renews all epochs.
    if (before && before !== epoch) for (const name of this.#places.keys()) this.#resume(name);
  }

  /**
   * Return the place of a stream to which the server has subscribed the socket. A new one is that of
   * a group that the user has joined: all its events since then follow.
   * @param {string} stream
   * @param {string} epoch
   */
  #answered(stream, epoch) {
    if (this.#unwanted.has(stream)) return null;
    const place = this.#places.get(stream) ?? newPlace();
    this.#places.set(stream, place);
    return Object.assign(place, { asked: null, epoch });
  }

  /**
   * Have the application fetch what the stale streams are about, and then ask for the events since.
   * @returns {Promise<void>}
   */
  #fetch() {
    return (this.#fetching ??= this.#fetchStale());
  }

  async #fetchStale() {
    // The call returns, and is remembered, before anything below can end it.
    await null;
    for (let failures = 0; !this.#over(); ) {
      const stale = [...this.#places].filter(([, place]) => place.stale);
      if (!stale.length) break;
      for (const [, place] of stale) [place.stale, place.fetching] = [false, true];
      let failed = false;
      /** @type {Held} */
      let held = {};
      try {
        held = await this.#refetch(stale.map(([name]) => name));
        failures = 0;
      } catch (error) {
        failed = true;
        reportError(error);
      }
      for (const [name, place] of stale) {
        place.fetching = false;
        place.stale ||= failed;
        if (place.stale) continue;
        place.seq = held?.[name] ?? place.seq;
        if (place.head > (place.seq ?? 0)) this.#resume(name);
      }
      if (failed) await this.#sleepers.sleep(pauseAfter((failures += 1)));
    }
    this.#fetching = null;
  }

  // Messages to send.

  /**
   * @param {Commands["chat_message"]} draft
   * @returns {Promise<any>}
   */
  #keep(draft) {
    const clientId = draft.clientId ?? newClientId();
    const known = this.#promises.get(clientId);
    if (known) return known.promise;
    if (this.#pending.items().length >= LIMITS.pending) {
      return Promise.reject(new RealtimeError("TOO_MANY_PENDING", "Too many messages wait."));
    }
    this.#pending.add({ ...draft, clientId });
    const deferred = new Deferred();
    this.#promises.set(clientId, deferred);
    this.#flush();
    return deferred.promise;
  }

  /**
   * Send also what another tab has kept for some seconds: it may have been closed since.
   * @param {number} age
   */
  #adopt(age) {
    this.#pending.adopt(age);
    this.#flush();
  }

  /** Send the messages that wait, one after the other, since their order is that of the answers. */
  async #flush() {
    if (this.#flushing) return;
    this.#flushing = true;
    let failures = 0;
    for (let item; (this.#live || this.#polling) && (item = this.#pending.first()); ) {
      const { clientId, draft } = item;
      try {
        const answer = await this.#deliver(draft);
        failures = 0;
        this.#pending.remove(clientId);
        this.#promises.get(clientId)?.resolve(answer);
      } catch (error) {
        if (!(error instanceof RealtimeError)) throw error;
        // A message at which the server fails again and again must not hold up the others for ever.
        if (error.code === "INTERNAL_ERROR") item.failures += 1;
        if (isTransient(error) && item.failures < LIMITS.failures) {
          failures += 1;
          // Without a connection the next one begins again.
          if (this.#live || this.#polling) {
            await this.#sleepers.sleep(Math.max(error.retryAfter, pauseAfter(failures)));
          }
          continue;
        }
        this.#pending.remove(clientId);
        this.#promises.get(clientId)?.reject(error);
        this.#emit("refused", { clientId, draft, error }, null);
      }
      this.#promises.delete(clientId);
    }
    this.#flushing = false;
  }

  /**
   * @param {Commands["chat_message"]} draft
   * @returns {Promise<Answers["chat_message"]>}
   */
  async #deliver(draft) {
    if (this.#live) return this.#live.ask("chat_message", draft);
    return { message: await this.#api.call("POST", "/messages", { body: draft }) };
  }

  // Without a websocket.

  /** Fetch events over HTTP until a socket opens. */
  async #poll() {
    if (this.#polling) return;
    const polling = (this.#polling = new AbortController());
    this.#become("polling");
    this.#adopt(0);
    for (let failures = 0; !polling.signal.aborted; ) {
      try {
        await this.#pollOnce(polling.signal);
        if (polling.signal.aborted) return;
        failures = 0;
        this.#become("polling");
        this.#adopt(SECONDS.silence);
      } catch (error) {
        if (polling.signal.aborted) return;
        this.#become("waiting");
        const wait = error instanceof RealtimeError ? error.retryAfter : 0;
        await this.#sleepers.sleep(Math.max(wait, pauseAfter((failures += 1))));
      }
    }
  }

  /**
   * Ask once for the events of all streams. Only the last request waits until there are some: it
   * has the streams that the application named first, the user's own among them.
   * @param {AbortSignal} signal
   */
  async #pollOnce(signal) {
    await this.#fetch();
    const isNew = (/** @type {string} */ name) => this.#places.get(name)?.seq === null;
    const names = [...this.#places.keys()];
    for (const part of parts(names.filter(isNew))) await this.#fetchEvents(part, 0, signal);
    await this.#fetch();
    const [first = [], ...others] = parts(names.filter((name) => !isNew(name)));
    for (const part of others) await this.#fetchEvents(part, 0, signal);
    if (first.length) await this.#waitForEvents(first, signal);
    else await this.#sleepers.sleep(SECONDS.poll);
  }

  /**
   * Ask for the events of some streams, and pause if the answer came early and brought none: the
   * server stops.
   * @param {string[]} names
   * @param {AbortSignal} signal
   */
  async #waitForEvents(names, signal) {
    const began = performance.now();
    const numbers = () => names.map((name) => this.#places.get(name)?.seq).join();
    const before = numbers();
    await this.#fetchEvents(names, SECONDS.poll, signal);
    const early = performance.now() - began < (SECONDS.poll / 2) * 1000;
    if (early && numbers() === before) await this.#sleepers.sleep(SECONDS.early);
  }

  /**
   * @param {string[]} names Streams that are all new, or all known.
   * @param {number} wait Seconds that the server may wait for an event.
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  async #fetchEvents(names, wait, signal) {
    const known = names.flatMap((name) => this.#places.get(name) ?? []);
    if (!known.length || known.length < names.length) return;
    const query = new URLSearchParams({ stream: names.join(",") });
    if (known.every(({ seq }) => seq !== null)) {
      query.set("after", known.map(({ seq }) => seq).join(","));
      query.set("epoch", known.map(({ epoch }) => epoch).join(","));
      query.set("wait", `${wait}`);
    }
    try {
      const answer = await this.#api.call("GET", `/events?${query}`, { signal, wait });
      for (const one of answer.streams ?? [answer]) if (!signal.aborted) this.#fetched(one);
    } catch (error) {
      if (!(error instanceof RealtimeError) || !FORBIDDEN_STREAM.includes(error.code)) throw error;
      // It does not say which of the streams the user may not read.
      if (names.length > 1) for (const name of names) await this.#fetchEvents([name], 0, signal);
      else this.#lose(names[0] ?? "");
    }
  }

  /** @param {SocketFrames["subscribed"] & {events: Frame<keyof Events>[]}} answer */
  #fetched({ stream, head, epoch, recovered, events }) {
    const place = this.#places.get(stream);
    if (!place) return;
    place.epoch = epoch;
    if (recovered) for (const frame of events) this.#event(stream, frame.seq ?? 0, frame);
    else begin(place, head);
  }
}

/** One websocket, from the attempt to open it to its end. */
class Socket {
  /** Whether it can be used: its first frame has come, and it has not ended. */
  open = false;
  /** When the first frame came, in milliseconds, or 0. */
  openedAt = 0;
  /** @type {Deferred<number>} */
  #ended = new Deferred();
  #link;
  #receive;
  /** @type {Map<string, {answer: Deferred<any>, timer?: ReturnType<typeof setTimeout>}>} */
  #asked = new Map();
  #count = 0;
  #turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} address
   * @param {(frame: AnyFrame) => void} receive
   */
  constructor(address, receive) {
    this.#receive = receive;
    this.#link = new WebSocket(address);
    this.#link.onmessage = ({ data }) => {
      try {
        if (typeof data === "string") this.#take(JSON.parse(data));
      } catch (error) {
        // Nobody knows what a frame that is malformed should have said.
        reportError(error);
        this.end(BROKEN);
      }
    };
    this.#link.onclose = ({ code }) => this.end(code);
    this.#endAfter(SECONDS.connect);
  }

  /** Resolves to the close code when the socket ends. */
  get closed() {
    return this.#ended.promise;
  }

  /**
   * Send a command and return its answer.
   * @template {keyof Commands} T
   * @param {T} type
   * @param {Commands[T]} data
   * @returns {Promise<Answers[T]>}
   */
  ask(type, data) {
    if (!this.open) return Promise.reject(notConnected());
    const requestId = `${(this.#count += 1)}`;
    /** @type {{answer: Deferred<any>, timer?: ReturnType<typeof setTimeout>}} */
    const asked = { answer: new Deferred() };
    this.#asked.set(requestId, asked);
    const send = () => {
      this.#link.send(toJson({ type, data, requestId }));
      // Answers come in the order of the frames: without this one the connection is broken.
      asked.timer = setTimeout(() => this.end(BROKEN), SECONDS.answer * 1000);
    };
    const wait = this.#untilTurn();
    if (wait > 0) asked.timer = setTimeout(send, wait * 1000);
    else send();
    return asked.answer.promise;
  }

  /** End the socket unless a frame comes soon: one that broke without a word looks open. */
  probe() {
    this.#link.send(JSON.stringify({ type: "ping", data: {} }));
    this.#endAfter(SECONDS.pong);
  }

  /**
   * End the socket, without waiting for the other side.
   * @param {number} code
   */
  end(code) {
    this.open = false;
    clearTimeout(this.#timer);
    this.#link.onmessage = this.#link.onclose = null;
    this.#link.close();
    for (const { answer, timer } of this.#asked.values()) {
      clearTimeout(timer);
      answer.reject(notConnected());
    }
    this.#asked.clear();
    this.#ended.resolve(code);
  }

  /** @param {AnyFrame} frame */
  #take(frame) {
    this.openedAt ||= Date.now();
    this.open = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.probe(), SECONDS.silence * 1000);
    this.#receive(frame);
    const asked = this.#asked.get(frame.requestId ?? "");
    if (!asked) return;
    this.#asked.delete(frame.requestId ?? "");
    clearTimeout(asked.timer);
    if (frame.type === "error") {
      const { code, message, errors } = frame.data;
      asked.answer.reject(new RealtimeError(code, message, { errors }));
    } else {
      asked.answer.resolve(frame.data);
    }
  }

  /** @param {number} after */
  #endAfter(after) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(BROKEN), after * 1000);
  }

  /** Return how many seconds the next frame must wait: the server counts them. */
  #untilTurn() {
    const now = Date.now() / 1000;
    this.#turn = Math.max(this.#turn, now) + 1 / LIMITS.rate;
    return this.#turn - now - LIMITS.burst / LIMITS.rate;
  }
}

/** Requests to the REST API, with the application's token. */
class Api {
  #base;
  #getToken;
  #token = "";
  #refused = false;
  /** @type {Promise<string> | null} */
  #asking = null;

  /**
   * @param {string} base
   * @param {Options["token"]} getToken
   */
  constructor(base, getToken) {
    this.#base = base;
    this.#getToken = getToken;
  }

  /** The server has refused the last token. */
  refused() {
    this.#refused = true;
  }

  /**
   * Return the data of the answer to a request, which is sent again with a new token after a 401.
   * @param {string} method
   * @param {string} path
   * @param {{body?: object, signal?: AbortSignal, wait?: number}} [options] `wait` is how many
   *   seconds the server may take longer than usual.
   * @returns {Promise<any>} It rejects with a RealtimeError.
   */
  async call(method, path, options = {}) {
    try {
      const token = await this.#ask();
      let response = await this.#send(method, path, token, options);
      if (response.status === 401) {
        if (token === this.#token) this.#refused = true;
        response = await this.#send(method, path, await this.#ask(), options);
      }
      return await read(response);
    } catch (error) {
      if (error instanceof RealtimeError) throw error;
      throw notConnected();
    }
  }

  /** Return a token. Requests that ask at the same time get the same one. */
  #ask() {
    this.#asking ??= this.#askOnce().finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #askOnce() {
    this.#token = await this.#getToken(this.#refused);
    this.#refused = false;
    if (!this.#token) throw new RealtimeError("UNAUTHORIZED", "Nobody is logged in.");
    return this.#token;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string} token
   * @param {{body?: object, signal?: AbortSignal, wait?: number}} options
   */
  async #send(method, path, token, { body, signal, wait = 0 }) {
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, (SECONDS.connect + wait) * 1000);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    try {
      return await fetch(`${this.#base}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${token}`,
          ...(body && { "Content-Type": "application/json" }),
        },
        ...(body && { body: toJson(body) }),
        credentials: "omit",
        cache: "no-store",
        signal: ending.signal,
      });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
    }
  }
}

/**
 * Return the data of a response.
 * @param {Response} response
 */
async function read(response) {
  const answer = await response.json().catch(() => null);
  if (response.ok && answer?.data) return answer.data;
  // A proxy may answer instead of the server, and without its codes: it refuses the request, or it
  // fails, or asks the user to log in to the network by a page of its own.
  const refuses = response.status >= 400 && response.status < 500;
  const code = answer?.code ?? (refuses ? "BAD_REQUEST" : "SERVICE_UNAVAILABLE");
  const retryAfter = Math.min(Number(response.headers.get("Retry-After")) || 0, SECONDS.patience);
  throw new RealtimeError(code, answer?.message ?? response.statusText, {
    errors: answer?.errors,
    retryAfter,
  });
}

/**
 * The messages of one user that wait to be sent, the oldest first. They are in localStorage, each
 * under a key of its own, so that tabs do not overwrite what others keep; if it cannot be written,
 * they are kept until the page is left.
 */
class PendingSends {
  #prefix;
  /** @type {Item[]} */
  #items = [];

  /** @param {string} prefix What the keys begin with: it names server and user. */
  constructor(prefix) {
    this.#prefix = prefix;
    this.adopt(0);
  }

  items() {
    return this.#items;
  }

  /**
   * Keep a message.
   * @param {Commands["chat_message"] & {clientId: string}} draft
   */
  add(draft) {
    const order = Math.max(Date.now(), (this.#items.at(-1)?.order ?? 0) + 1);
    this.remove(draft.clientId);
    this.#items.push({ clientId: draft.clientId, order, draft, adopted: false, failures: 0 });
    const text = JSON.stringify({ order, draft });
    store((storage) => storage.setItem(this.#key(draft.clientId), text));
  }

  /** Return the oldest message that no other tab has sent. */
  first() {
    while (this.#items[0] && this.#isSent(this.#items[0])) this.#items.shift();
    return this.#items[0];
  }

  /** @param {Item} item */
  #isSent({ adopted, clientId }) {
    return adopted && !store((storage) => storage.getItem(this.#key(clientId)));
  }

  /** @param {string} clientId */
  remove(clientId) {
    this.#items = this.#items.filter((item) => item.clientId !== clientId);
    store((storage) => storage.removeItem(this.#key(clientId)));
  }

  /**
   * Take over what other tabs, or this page before a reload, have kept for some seconds.
   * @param {number} age
   */
  adopt(age) {
    const known = new Set(this.#items.map(({ clientId }) => clientId));
    for (const key of store((storage) => Object.keys(storage)) ?? []) {
      const clientId = key.slice(this.#prefix.length);
      if (!key.startsWith(this.#prefix) || known.has(clientId)) continue;
      const kept = store((storage) => JSON.parse(storage.getItem(key) ?? ""));
      // One of the future was kept before the clock was set back.
      if (!kept || Math.abs(Date.now() - kept.order) < age * 1000) continue;
      this.#items.push({ ...kept, clientId, adopted: true, failures: 0 });
    }
    this.#items.sort((one, other) => one.order - other.order);
  }

  forget() {
    this.adopt(0);
    for (const { clientId } of this.#items) this.remove(clientId);
  }

  /** @param {string} clientId */
  #key(clientId) {
    return this.#prefix + clientId;
  }
}

/**
 * Use the storage of this browser. It may be full, or not be there at all.
 * @template T
 * @param {(storage: Storage) => T} use
 * @returns {T | null}
 */
function store(use) {
  try {
    return use(localStorage);
  } catch {
    return null;
  }
}

/**
 * Return a value as JSON that the server can read. Half of a surrogate pair, such as the end of a text
 * that was cut within an emoji, is no sign of any encoding: without this the server could not even say
 * which frame it refuses.
 * @param {object} value
 */
function toJson(value) {
  return JSON.stringify(value, (_, part) =>
    typeof part === "string" ? part.replace(/\p{Surrogate}/gu, "\ufffd") : part,
  );
}

/** Waits that can be ended early, all at once. */
class Sleepers {
  /** @type {Set<() => void>} */
  #waking = new Set();

  /**
   * @param {number} seconds
   * @returns {Promise<void>}
   */
  sleep(seconds) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waking.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, seconds * 1000);
      this.#waking.add(wake);
    });
  }

  wake() {
    for (const wake of this.#waking) wake();
  }
}

/**
 * A promise that others settle.
 * @template T
 */
class Deferred {
  /** @type {(value: T) => void} */
  resolve = () => {};
  /** @type {(error: Error) => void} */
  reject = () => {};
  /** @type {Promise<T>} */
  promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
}

/** @returns {Place} */
function newPlace() {
  return { seq: null, head: 0, epoch: "", asked: null, failures: 0, stale: false, fetching: false };
}

/**
 * Begin at the head, since what was before it must be fetched.
 * @param {Place} place
 * @param {number} head
 */
function begin(place, head) {
  Object.assign(place, { seq: head, head, failures: 0, stale: true });
}

/** @param {unknown} error */
function isTransient(error) {
  if (!(error instanceof RealtimeError)) return false;
  return error.code === "NOT_CONNECTED" || TRANSIENT.includes(error.code);
}

/**
 * Return for how many seconds to wait after some failures: a random time, so that clients that were
 * disconnected together do not come back together.
 * @param {number} failures
 */
function pauseAfter(failures) {
  return Math.min(SECONDS.longest, 2 ** failures) * Math.random();
}

/**
 * Return the names in parts that fit into one request.
 * @param {string[]} names
 */
function parts(names) {
  const size = LIMITS.streams;
  const count = Math.ceil(names.length / size);
  return Array.from({ length: count }, (_, n) => names.slice(n * size, (n + 1) * size));
}

/** Resolves when a server that restarts may be tried again. */
function restarted() {
  const [least = 1, most = 10] = SECONDS.restarting;
  const seconds = least + (most - least) * Math.random();
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Return a random id. crypto.randomUUID() is not there on pages without TLS. */
function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const closed = () => new RealtimeError("CLOSED", "The connection was closed.");
