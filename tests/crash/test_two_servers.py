"""Two servers on one directory: both answer right, one owns it, and the other may only read."""

from traffic import Crowd

PARALLEL = ("--parallel", "4")


def test_the_second_reads_what_the_first_wrote_and_writes_nothing(host, truth):
    host = host(*PARALLEL)
    crowd, others = Crowd(21), Crowd(22, family="others")
    server = host.start()
    crowd.grow(server, truth, 4)
    host.stop(server)

    owner = host.start()
    reader = host.start()
    before = host.records.names()
    for conversation in crowd.conversations():
        assert reader.request_log(conversation.repeat(reader))["computed"] <= 2
        assert owner.request_log(conversation.repeat(owner))["computed"] <= 2
    others.born = 1000
    others.grow(reader, truth, 4)
    host.stop(reader)
    # The owner may write what it computed; nothing else can have come or gone.
    host.stop(owner)
    third = host.start()
    assert max(third.request_log(c.repeat(third))["disk"] for c in others.conversations()) < 16  # what all prompts begin with
    assert before <= host.records.names()
    host.stop(third)


def test_after_the_owner_died_the_next_start_owns(host, truth):
    host = host(*PARALLEL)
    crowd = Crowd(23)
    owner = host.start()
    host.kill(owner)
    heir = host.start()
    crowd.grow(heir, truth, 4)
    host.stop(heir)
    last = host.start()
    assert all(last.request_log(c.repeat(last))["computed"] <= 2 for c in crowd.conversations())
    host.stop(last)


# Heads are shared, so they race for the same records.
def test_both_at_once_answer_right(host, truth, dice):
    host = host("--parallel", "2", "--cache-ram", "64K", "--cache-disk", "1M")
    crowds = [Crowd(24), Crowd(24)]
    servers = [host.start(), host.start()]
    talks = [crowd.start(server, truth) for crowd, server in zip(crowds, servers)]
    talks[0].threads[0].join(4)
    for talk in talks:
        talk.stop()
    host.kill(servers[0])
    crowds[1].talk(servers[1], truth, 2)
    host.stop(servers[1])
    assert host.records.verify()["bad"] == 0
