// The types of static/parley/realtime.js, as an application meets them. This is compiled, never run.

import { connect } from "../../static/parley/realtime.js";

const parley = connect({
  userId: "01930e1c-7f6a-7b3e-9c1d-2f5a8b4c6d7e",
  token: async (refused) => (refused ? "new" : "old"),
  refetch: async ([stream = ""]) => ({ [stream]: 1 }),
});

parley.on("chat_message", ({ message }, { seq }) => message.content.repeat(seq ?? 0));
parley.on("user_offline", ({ userId, lastSeenAt }) => userId.concat(lastSeenAt));
parley.on("state", ({ state, code }) => (state === "closed" ? code?.toFixed() : ""));
parley.on("refused", ({ draft, error }) => draft.content.concat(error.code));
// @ts-expect-error No event has this name.
parley.on("chat_massage", () => {});
// @ts-expect-error No state has this name.
parley.on("state", ({ state }) => state === "opened");

const { message } = await parley.send("chat_message", { receiverId: "", content: "Hello" });
message.conversationId.length;
const { presence } = await parley.send("presence", { userIds: [message.senderId] });
presence[message.senderId]?.online;
// @ts-expect-error A message has content.
parley.send("chat_message", { receiverId: "" });
// @ts-expect-error Streams are subscribed to by subscribe().
parley.send("subscribe", { stream: "feed" });
