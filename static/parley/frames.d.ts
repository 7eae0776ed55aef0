// What goes over Parley's websocket, as the server declares it. `make asyncapi` writes this file.

/** What a client sends: the data of each type. */
export interface Commands {
  activity: ActivityInput;
  chat_message: MessageInput;
  delivered: DeliveredInput;
  join_room: RoomInput;
  leave_room: RoomInput;
  ping: object;
  presence: PresenceQuery;
  read_receipt: ReceiptInput;
  subscribe: SubscribeInput;
  typing: TypingInput;
  unsubscribe: UnsubscribeInput;
}

/** Events, which are numbered within their streams. */
export interface Events {
  chat_delete: MessageDeletedPayload;
  chat_message: MessagePayload;
  chat_message_sent: MessagePayload;
  delivery_receipt: DeliveryReceiptPayload;
  group_created: GroupCreatedPayload;
  group_deleted: GroupDeletedPayload;
  group_delivered: GroupDeliveredPayload;
  group_read: GroupReadPayload;
  group_renamed: GroupRenamedPayload;
  member_left: MemberLeftPayload;
  members_joined: MembersJoinedPayload;
  notification: NotificationPayload;
  notifications_read: NotificationsReadPayload;
  post_published: PostPublishedPayload;
  read_receipt: ReadReceiptPayload;
  roles_changed: RolesChangedPayload;
  security_alert: SecurityAlertPayload;
  task_completed: JobEndedPayload;
  task_failed: JobEndedPayload;
}

/** Signals, which are true for the moment. */
export interface Signals {
  typing: TypingPayload;
  user_activity: UserActivityPayload;
  user_joined_room: RoomSignalPayload;
  user_left_room: RoomSignalPayload;
  user_offline: UserOfflinePayload;
  user_online: UserActivityPayload;
}

/** Frames about the connection and its streams. */
export interface SocketFrames {
  connected: ConnectedPayload;
  error: ErrorPayload;
  heartbeat: HeadsPayload;
  left_room: LeftRoomPayload;
  pong: PongPayload;
  presence: PresencePayload;
  reset: ResetPayload;
  subscribed: SubscribedPayload;
  unsubscribed: UnsubscribeAck;
}

/** What answers each command. */
export interface Answers {
  activity: ActivityInput;
  chat_message: MessagePayload;
  delivered: Receipt;
  join_room: Room;
  leave_room: Room;
  ping: PongPayload;
  presence: PresencePayload;
  read_receipt: Receipt;
  subscribe: SubscribedPayload | ResetPayload;
  typing: TypingAck;
  unsubscribe: UnsubscribeAck;
}

export type Activity = "active" | "away";

export interface ActivityInput {
  state: Activity;
}

export interface ConnectedPayload {
  clientId: string;
  serverTime: string;
  streams: Record<string, number>;
  heartbeat: number;
  user: Profile;
}

export interface DeliveredInput {
  messageIds?: Array<string>;
  seq?: number;
}

export interface DeliveryReceiptPayload {
  deliveredTo: string;
  messageIds: Array<string>;
  deliveredAt: string;
}

export type ErrorCode = "ACCOUNT_SUSPENDED" | "BAD_REQUEST" | "CONFLICT" | "FORBIDDEN" | "HEADERS_TOO_LARGE" | "IDEMPOTENCY_KEY_REUSED" | "INTERNAL_ERROR" | "METHOD_NOT_ALLOWED" | "NOT_ACCEPTABLE" | "NOT_FOUND" | "PAYLOAD_TOO_LARGE" | "PRECONDITION_FAILED" | "RATE_LIMIT_EXCEEDED" | "REQUEST_TIMEOUT" | "SERVICE_UNAVAILABLE" | "TOO_MANY_IDEMPOTENCY_KEYS" | "TOO_MANY_ROOMS" | "TOO_MANY_STREAMS" | "UNAUTHORIZED" | "UNSUPPORTED_MEDIA_TYPE" | "VALIDATION_ERROR";

export interface ErrorPayload {
  message: string;
  code: ErrorCode;
  errors?: Array<FieldErrorPayload>;
}

export interface FieldErrorPayload {
  field: string;
  message: string;
  code: string;
}

export interface GroupCreatedPayload {
  conversationId: string;
  title: string;
  ownerId: string;
  memberIds: Array<string>;
}

export interface GroupDeletedPayload {
  conversationId: string;
  by: string;
}

export interface GroupDeliveredPayload {
  conversationId: string;
  userId: string;
  ranges: Array<NumberRange>;
  upTo: number;
  deliveredAt: string;
}

export interface GroupReadPayload {
  conversationId: string;
  userId: string;
  ranges: Array<NumberRange>;
  upTo: number;
  readAt: string;
}

export interface GroupRenamedPayload {
  conversationId: string;
  title: string;
  by: string;
}

export type GroupRole = "owner" | "admin" | "member";

export interface HeadsPayload {
  streams: Record<string, number>;
}

export interface Job {
  id: string;
  type: string;
  status: JobStatus;
  progress: number;
  result: unknown;
  error: string;
  attempts: number;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
}

export interface JobEndedPayload {
  job: Job;
}

export type JobStatus = "pending" | "processing" | "completed" | "failed" | "cancelled";

export interface LeftRoomPayload {
  room: string;
}

export interface MemberLeftPayload {
  conversationId: string;
  userId: string;
  by: string;
}

export interface MemberRole {
  userId: string;
  role: GroupRole;
}

export interface MembersJoinedPayload {
  conversationId: string;
  userIds: Array<string>;
  joinedSeq: number;
  by: string;
}

export interface Message {
  id: string;
  conversationId: string;
  seq: number;
  senderId: string;
  receiverId: string | null;
  content: string;
  type: MessageType;
  status: MessageStatus;
  clientId: string | null;
  createdAt: string;
  readAt: string | null;
  editedAt: string | null;
  sender: User;
  receiver: User | null;
}

export interface MessageDeletedPayload {
  messageId: string;
  senderId: string;
  receiverId: string | null;
}

export interface MessageInput {
  receiverId: string;
  content: string;
  type?: MessageType;
  clientId?: string;
}

export interface MessagePayload {
  message: Message;
}

export type MessageStatus = "sent" | "delivered" | "read";

export type MessageType = "text" | "image" | "file";

export interface Notification {
  id: string;
  type: string;
  category: string;
  title: string;
  body: string;
  url: string;
  actor: User | null;
  count: number;
  data: Record<string, unknown>;
  readAt: string | null;
  createdAt: string;
}

export interface NotificationPayload {
  notification: Notification;
}

export interface NotificationsReadPayload {
  notificationIds: Array<string>;
  readAt: string;
}

export interface NumberRange {
  first: number;
  last: number;
}

export interface PongPayload {
  timestamp: string;
  streams: Record<string, number>;
}

export interface PostListItem {
  id: string;
  title: string;
  slug: string;
  authorId: string;
  author: User;
  status: PostStatus;
  viewCount: number;
  likeCount: number;
  commentCount: number;
  tags: Array<string>;
  version: number;
  publishedAt: string | null;
  createdAt: string;
  updatedAt: string;
  excerpt: string;
}

export interface PostPublishedPayload {
  post: PostListItem;
}

export type PostStatus = "draft" | "published" | "archived";

export interface PresencePayload {
  presence: Record<string, SeenPayload>;
}

export interface PresenceQuery {
  userIds: Array<string>;
}

export interface Profile {
  id: string;
  name: string;
  role: UserRole;
  bio: string;
  avatarUrl: string;
  createdAt: string;
  email: string;
  emailVerified: boolean;
  status: UserStatus;
  updatedAt: string;
}

export interface ReadReceiptPayload {
  readBy: string;
  messageIds: Array<string>;
  readAt: string;
}

export interface Receipt {
  updated: number;
  remaining?: boolean;
}

export interface ReceiptInput {
  senderId: string;
  messageIds: Array<string>;
}

export interface ResetPayload {
  stream: string;
  head: number;
  epoch: string;
}

export interface RolesChangedPayload {
  conversationId: string;
  roles: Array<MemberRole>;
  by: string;
}

export interface Room {
  room: string;
  members: Array<User>;
  count: number;
}

export interface RoomInput {
  room: string;
}

export interface RoomSignalPayload {
  room: string;
  user: User;
}

export interface SecurityAlertPayload {
  reason: "failed_logins";
  at: string;
}

export interface SeenPayload {
  online: boolean;
  activity: "active" | "away" | "None";
  lastSeenAt: string | null;
}

export interface SubscribeInput {
  stream: string;
  after?: number;
  epoch?: string;
}

export interface SubscribedPayload {
  stream: string;
  head: number;
  epoch: string;
  recovered: boolean;
}

export interface TypingAck {
  isTyping: boolean;
}

export interface TypingInput {
  receiverId: string;
  isTyping: boolean;
}

export interface TypingPayload {
  senderId: string;
  isTyping: boolean;
}

export interface UnsubscribeAck {
  stream: string;
}

export interface UnsubscribeInput {
  stream: string;
}

export interface User {
  id: string;
  name: string;
  role: UserRole;
  bio: string;
  avatarUrl: string;
  createdAt: string;
}

export interface UserActivityPayload {
  userId: string;
  activity: Activity;
}

export interface UserOfflinePayload {
  userId: string;
  lastSeenAt: string;
}

export type UserRole = "user" | "moderator" | "admin";

export type UserStatus = "active" | "suspended" | "banned" | "pending";
