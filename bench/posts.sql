-- The rows that one new post takes, as one transaction, so that pgbench measures what the database
-- alone takes: the post, its slug, and if :published is 1 its event and the head of the feed.
-- bench/pgbench.py makes bench_author, bench_post and bench_id(), which turns a number into an id.
-- Ids ascend, as Parley's do: :posts begins with the time, and each client counts on from there.
\set author random(1, :authors)
\set text random(1, :texts)
\set posts :posts + 1
\set number :posts * 1000 + :client_id
BEGIN;
INSERT INTO posts_postslug (slug, post_id, created_at)
    VALUES ('bench-post-' || :number, bench_id(:number), now());
INSERT INTO posts_post
    (id, author_id, title, content, slug, status, tags, view_count, like_count, comment_count,
        version, published_at, created_at, updated_at)
    SELECT bench_id(:number), bench_author.id, bench_post.title, bench_post.content,
        'bench-post-' || :number, CASE :published::int WHEN 1 THEN 'published' ELSE 'draft' END,
        bench_post.tags, 0, 0, 0, 1, CASE :published::int WHEN 1 THEN now() END, now(), now()
    FROM bench_author, bench_post
    WHERE bench_author.number = :author AND bench_post.number = :text;
\if :published
INSERT INTO realtime_stream (name, head, epoch) VALUES ('feed', 1, 'bench')
    ON CONFLICT (name) DO UPDATE SET head = realtime_stream.head + 1
    RETURNING head AS head \gset
INSERT INTO realtime_event (stream, seq, type, data, size, subject, created_at)
    SELECT 'feed', :head::bigint, 'post_published',
        jsonb_build_object('post', jsonb_build_object('id', bench_id(:number),
            'title', bench_post.title, 'excerpt', left(bench_post.content, 200),
            'author', jsonb_build_object('id', bench_author.id, 'name', bench_author.name),
            'tags', bench_post.tags)),
        900, bench_id(:number), now()
    FROM bench_author, bench_post
    WHERE bench_author.number = :author AND bench_post.number = :text;
\endif
COMMIT;
