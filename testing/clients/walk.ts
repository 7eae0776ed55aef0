// A TypeScript client that is generated from openapi.yaml logs in, posts, pages, chats and reads
// errors: node walk.js URL. The compiler checks the types, the walk what they say at run time.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/api.js";

type Schemas = components["schemas"];

const url = process.argv[2];
assert(url, "Say which server: node walk.js URL");
const password = "correct horse 9";
const anonymous = createClient<paths>({ baseUrl: url });

/** Return the body of a success; fail for a refusal. */
function body<T>({ data, error }: { data?: T; error?: Schemas["Error"] }): T {
  assert(data !== undefined, `Refused: ${error?.code} ${error?.message}`);
  return data;
}

/** Return the refusal; fail for a success. */
function refusal({ error }: { error?: Schemas["Error"] }): Schemas["Error"] {
  assert(error !== undefined, "It was not refused");
  return error;
}

async function loggedIn(name: string) {
  const email = `${name.toLowerCase()}@typescript.example.com`;
  body(await anonymous.POST("/api/v1/auth/register", { body: { name, email, password } }));
  const login = body(await anonymous.POST("/api/v1/auth/login", { body: { email, password } }));
  const headers = { Authorization: `Bearer ${login.data.accessToken}` };
  return { id: login.data.user.id, api: createClient<paths>({ baseUrl: url!, headers }) };
}

async function post(api: typeof anonymous, author: string) {
  for (const title of ["Low tide", "Night ferry", "Harbour lights"]) {
    const draft = { title, content: "The boats come home one by one." };
    const { data } = body(await api.POST("/api/v1/posts", { body: draft }));
    const path = { id: data.id };
    const published = body(await api.POST("/api/v1/posts/{id}/publish", { params: { path } }));
    const status: Schemas["PostStatus"] = published.data.status;
    assert.equal(status, "published");
  }
  const titles: string[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const query = { authorId: author, limit: 2, cursor };
    const page: Schemas["PostPage"] = body(
      await anonymous.GET("/api/v1/posts", { params: { query } }),
    );
    titles.push(...page.data.map((one) => one.title));
    cursor = page.pagination.nextCursor;
  }
  assert.deepEqual(titles, ["Harbour lights", "Night ferry", "Low tide"]);
}

async function change(api: typeof anonymous, author: string) {
  const query = { authorId: author, limit: 1 };
  const [newest] = body(await api.GET("/api/v1/posts", { params: { query } })).data;
  assert(newest);
  const path = { id: newest.id };
  const found = await api.GET("/api/v1/posts/{id}", { params: { path } });
  const etag = found.response.headers.get("ETag");
  assert(etag);
  const params = { path, header: { "If-Match": etag } };
  body(await api.PATCH("/api/v1/posts/{id}", { params, body: { tags: ["sea"] } }));
  const stale = await api.PUT("/api/v1/posts/{id}", { params, body: { tags: ["night"] } });
  assert.equal(refusal(stale).code, "PRECONDITION_FAILED");
}

type LoggedIn = Awaited<ReturnType<typeof loggedIn>>;

async function chat(alice: LoggedIn, bob: LoggedIn) {
  const hello = { receiverId: bob.id, content: "Hello, Bob!", clientId: "walk-1" };
  const sent = body(await alice.api.POST("/api/v1/messages", { body: hello })).data;
  const again = body(await alice.api.POST("/api/v1/messages", { body: hello })).data;
  assert.equal(again.id, sent.id);
  assert.equal(body(await bob.api.GET("/api/v1/messages/unread")).data.total, 1);
  const upTo = { conversationId: sent.conversationId, upTo: sent.seq };
  const read = body(await bob.api.POST("/api/v1/messages/read", { body: upTo }));
  assert.equal(read.data.updated, 1);
  const byId = { messageIds: [sent.id] };
  assert.equal(body(await bob.api.POST("/api/v1/messages/read", { body: byId })).data.updated, 0);
  const query = { userId: bob.id };
  const [shown] = body(await alice.api.GET("/api/v1/messages", { params: { query } })).data;
  assert.equal(shown?.status, "read");
  assert(body(await alice.api.POST("/api/v1/auth/ws-ticket")).data.ticket);
}

async function errors(api: typeof anonymous) {
  const draft = { title: "No", content: "Short" };
  const invalid = refusal(await api.POST("/api/v1/posts", { body: draft }));
  const code: Schemas["ErrorCode"] = invalid.code;
  assert.equal(code, "VALIDATION_ERROR");
  assert.deepEqual(invalid.errors?.map((one) => one.field), ["title", "content"]);
  const path = { id: crypto.randomUUID() };
  const missing = refusal(await api.GET("/api/v1/posts/{id}", { params: { path } }));
  assert.equal(missing.code, "NOT_FOUND");
  const unknown = { email: "nobody@example.com", password };
  const login = refusal(await anonymous.POST("/api/v1/auth/login", { body: unknown }));
  assert.equal(login.code, "UNAUTHORIZED");
  assert.equal(refusal(await anonymous.GET("/api/v1/auth/profile")).code, "UNAUTHORIZED");
}

const [alice, bob] = [await loggedIn("Alice"), await loggedIn("Bob")];
await post(alice.api, alice.id);
await change(alice.api, alice.id);
await chat(alice, bob);
await errors(alice.api);
assert.equal((await anonymous.GET("/health")).data?.status, "ok");
assert.equal((await anonymous.GET("/ready")).data?.migrations, "applied");
