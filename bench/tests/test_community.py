"""The posts of the benchmarks look like posts that users write."""

from statistics import median

from bench.community import AUTHORS, LONGEST, SHORTEST, Writer, posts_of


def test_texts_have_some_hundred_to_some_thousand_characters() -> None:
    writer = Writer()
    lengths = [len(writer.content()) for _ in range(1_000)]
    assert min(lengths) >= SHORTEST
    assert 1_000 < median(lengths) < 1_500
    assert LONGEST / 2 < max(lengths) < LONGEST + 200


def test_ids_ascend_with_the_time_and_nine_of_ten_posts_are_published() -> None:
    authors = [f"00000000-0000-7000-8000-{number:012x}" for number in range(AUTHORS)]
    posts = [post for post, _ in posts_of(authors, 1_000)]
    assert [post.pk for post in posts] == sorted(post.pk for post in posts)
    assert {post.pk.version for post in posts} == {7}
    assert len({post.slug for post in posts}) == 1_000
    assert 850 < sum(post.status == "published" for post in posts) < 950
    assert {post.status for post in posts} == {"draft", "published", "archived"}
