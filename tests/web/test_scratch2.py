from tests.web.test_scratch import *

test_fuzz = None


async def test_over(pool, repository):
    import traceback

    now = datetime.now(UTC)
    rows = [
        row(strategy_id="a", created_at=t, status="error" if n % 3 else "ok")
        for n, t in enumerate([None, *TIMES] * 60)
    ]
    rows += [row(strategy_id="b", created_at=now - n * MINUTE) for n in range(100)]
    await repository.insert_rows(rows)
    async with client(create_app(pool)) as api:
        for u in [
            "/?until=2024-02-29",
            "/?since=0001-01-01&until=9999-12-31",
            "/?since=0001-01-01",
            "/?since=0001-01-01&until=0001-01-03T00:00",
        ]:
            try:
                g = await api.get(u)
                print(u, g.status_code)
            except Exception:
                print(u)
                traceback.print_exc(limit=-4)
        print(await repository.health())
