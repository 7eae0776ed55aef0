-- The statements of apps/chat/services.py that send one message with a client id, so that pgbench
-- measures what the database alone takes. The sender and the receiver are two of the users that
-- bench/pgbench.py has made; bench_id() turns a number into an id. Each writes to so many others.
\set sender random(1, :people)
\set receiver 1 + (:sender - 1 + random(1, :others)) % :people
\set first least(:sender, :receiver)
\set second greatest(:sender, :receiver)
\set message random(1000000, 9000000000000000000)
BEGIN;
SELECT * FROM accounts_user WHERE id IN (bench_id(:sender), bench_id(:receiver));
SELECT id FROM chat_message
    WHERE (sender_id, client_id) IN (SELECT bench_id(:sender), 'c' || :message);
INSERT INTO chat_conversation
    (id, first_id, second_id, last_seq, last_message_at)
    VALUES (gen_random_uuid(), bench_id(:first), bench_id(:second), 1, now())
    ON CONFLICT (first_id, second_id) DO UPDATE
    SET last_seq = chat_conversation.last_seq + excluded.last_seq,
        last_message_at = excluded.last_message_at
    RETURNING id AS conversation, last_seq AS number \gset
INSERT INTO chat_message
    (id, conversation_id, seq, sender_id, content, type, client_id, created_at)
    VALUES (bench_id(:message), :conversation::uuid, :number::bigint, bench_id(:sender),
        'a message of forty characters or so, more', 'text', 'c' || :message, now());
INSERT INTO chat_membership
    (id, conversation_id, user_id, read_seq, incoming_seq, last_message_at)
    VALUES
        (gen_random_uuid(), :conversation::uuid, bench_id(:sender), :number::bigint, 0, now()),
        (gen_random_uuid(), :conversation::uuid, bench_id(:receiver), :number::bigint - 1,
            :number::bigint, now())
    ON CONFLICT (conversation_id, user_id) DO UPDATE
    SET last_message_at = excluded.last_message_at,
        read_seq = CASE WHEN chat_membership.incoming_seq <= chat_membership.read_seq
            THEN excluded.read_seq ELSE chat_membership.read_seq END,
        incoming_seq = CASE WHEN excluded.incoming_seq > 0
            THEN excluded.incoming_seq ELSE chat_membership.incoming_seq END;
WITH heads AS (
    INSERT INTO realtime_stream (name, head, epoch)
        VALUES ('bench.' || :first, 1, 'bench'), ('bench.' || :second, 1, 'bench')
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
