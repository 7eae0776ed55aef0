-- What apps/chat/services.py does to send one message with a client id, statement by statement,
-- so that pgbench can tell what the database alone would take. It runs between two of the people
-- whom bench/pgbench.py has made; bench_id() turns a number into an id.
\set sender 2 * random(1, :pairs)
\set receiver :sender + 1
\set message random(1000000, 9000000000000000000)
BEGIN;
SELECT * FROM accounts_user WHERE id IN (bench_id(:sender), bench_id(:receiver));
SELECT * FROM chat_message
    JOIN accounts_user sender ON sender.id = chat_message.sender_id
    JOIN accounts_user receiver ON receiver.id = chat_message.receiver_id
    WHERE client_id IN ('c' || :message) AND sender_id IN (bench_id(:sender));
INSERT INTO chat_conversation (id, pair, last_seq)
    VALUES (gen_random_uuid(), 'bench' || :sender, 1)
    ON CONFLICT (pair) DO UPDATE SET last_seq = chat_conversation.last_seq + excluded.last_seq
    RETURNING id AS conversation, last_seq AS number \gset
INSERT INTO chat_message
    (id, conversation_id, seq, sender_id, receiver_id, content, type, status, client_id, created_at)
    VALUES (bench_id(:message), :conversation::uuid, :number::bigint, bench_id(:sender),
        bench_id(:receiver), 'a message of forty characters or so, more', 'text', 'sent',
        'c' || :message, now());
INSERT INTO chat_membership
    (id, conversation_id, user_id, peer_id, last_message_id, last_message_at)
    VALUES
        (gen_random_uuid(), :conversation::uuid, bench_id(:sender), bench_id(:receiver),
            bench_id(:message), now()),
        (gen_random_uuid(), :conversation::uuid, bench_id(:receiver), bench_id(:sender),
            bench_id(:message), now())
    ON CONFLICT (conversation_id, user_id) DO UPDATE
    SET last_message_id = excluded.last_message_id, last_message_at = excluded.last_message_at;
WITH heads AS (
    INSERT INTO realtime_stream (name, head, epoch)
        VALUES ('bench.' || :sender, 1, 'bench'), ('bench.' || :receiver, 1, 'bench')
        ON CONFLICT (name) DO UPDATE SET head = realtime_stream.head + excluded.head
        RETURNING name, head
)
SELECT max(head) FILTER (WHERE name = 'bench.' || :sender) AS sent,
    max(head) FILTER (WHERE name = 'bench.' || :receiver) AS received FROM heads \gset
INSERT INTO realtime_event (stream, seq, type, data, subject, created_at)
    SELECT stream, seq, type, (SELECT data FROM bench_event), bench_id(:message), now()
    FROM (VALUES ('bench.' || :receiver, :received::bigint, 'chat_message'),
        ('bench.' || :sender, :sent::bigint, 'chat_message_sent')) AS told (stream, seq, type)
    RETURNING id;
COMMIT;
