-- The statements by which a worker takes a job and ends it, so that pgbench measures what the
-- database alone takes. bench/tests/test_jobs.py holds them against those of apps/jobs.
WITH kind (queue, priority) AS (VALUES ('default', 100), ('default', 0), ('default', -100),
        ('upkeep', 100), ('upkeep', 0), ('upkeep', -100))
    SELECT queue, priority FROM kind WHERE (
        SELECT 1 FROM jobs_job
        WHERE jobs_job.queue = kind.queue AND jobs_job.priority = kind.priority
            AND due_at <= statement_timestamp() + 0.001 * interval '1 second'
            AND attempts < max_attempts
        ORDER BY due_at LIMIT 1
    ) IS NOT NULL
    ORDER BY priority DESC LIMIT 1 \gset
WITH due AS MATERIALIZED (
        SELECT id FROM jobs_job
        WHERE queue = :queue AND priority = :priority::int
            AND due_at <= statement_timestamp() + 0.001 * interval '1 second'
            AND attempts < max_attempts
        ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    UPDATE jobs_job SET status = 'processing', attempts = attempts + 1, lease = gen_random_uuid(),
        worker = 'pgbench', due_at = statement_timestamp() + 30 * interval '1 second',
        started_at = COALESCE(started_at, statement_timestamp() + 0 * interval '1 second')
    WHERE id IN (SELECT id FROM due) RETURNING * \gset
BEGIN;
UPDATE jobs_job SET status = 'completed', lease = NULL, due_at = NULL, finished_at = now(),
        progress = 100, result = NULL, error = ''
    WHERE id = :id::uuid AND lease = :lease::uuid;
COMMIT;
