"""Documents and their items: what was stored is what is read, by its tenant, page by page."""

from __future__ import annotations

from functools import partial
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.states import KINDS, address, opened, read, together, write

from eke.errors import BadInput
from eke.gateway.state import deleting, documents, items, standing
from eke.gateway.state.documents import Document, Listing
from eke.gateway.state.items import Item, Slice
from eke.gateway.state.state import State
from eke.types.record import replace

_numbers = count()


@pytest.fixture(scope="module", params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    with opened(address(request.param, tmp_path_factory.mktemp("documents"))) as state:
        yield state


def fresh(word: str = "tenant") -> str:
    return f"{word} {next(_numbers)}"


def response(tenant: str, created: float = 0.0, **fields) -> Document:
    return Document(fresh("resp"), "response", tenant, created, "done", b"{}", **fields)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
times = st.floats(0, 4e9, allow_nan=False)


@given(created=times, expires=st.none() | times, body=st.binary(max_size=3000), word=words)
def test_what_is_stored_is_what_is_read(
    state: State, created: float, expires: float | None, body: bytes, word: str
) -> None:
    word = word.replace("\0", "")
    tenant = fresh(f"tenant{word}")
    document = Document(
        fresh(f"id{word}"), "response", tenant, created, word, body, expires, word, word or None
    )
    write(state, documents.create, document)
    assert read(state, documents.get, "response", document.id, tenant) == document
    for kind, whose in (("batch", tenant), ("response", "someone else")):
        assert read(state, documents.get, kind, document.id, whose) is None
        assert not write(state, deleting.delete, kind, document.id, whose)
        assert not write(state, documents.update, replace(document, kind=kind, tenant=whose))
    assert write(state, deleting.delete, "response", document.id, tenant)
    assert read(state, documents.get, "response", document.id, tenant) is None


@given(
    ages=st.lists(st.sampled_from([1.0, 2.0, 2.5, 7.25]), max_size=9),
    limit=st.integers(1, 4),
    newest=st.booleans(),
)
@settings(max_examples=30)
def test_pages_together_are_the_list_in_order(
    state: State, ages: list[float], limit: int, newest: bool
) -> None:
    tenant = fresh()
    made = [response(tenant, age) for age in ages]
    for document in made:
        write(state, documents.create, document)
    write(state, documents.create, response(fresh(), 2.0))  # of someone else
    found: list[Document] = []
    listing = Listing(kind="response", tenant=tenant, limit=limit, newest=newest)
    while True:
        page = read(state, documents.page, listing)
        found += page.documents
        assert page.more == (len(found) < len(made))
        if not page.more:
            break
        assert len(page.documents) == limit
        listing = replace(listing, after=found[-1].id)
    assert found == sorted(made, key=lambda each: (each.created, each.id), reverse=newest)


def test_lists_by_label_and_after_what_is_there(state: State) -> None:
    tenant = fresh()
    batch, tuning = (response(tenant, 1.0, label=label) for label in ("batch", "fine-tune"))
    for document in (batch, tuning):
        write(state, documents.create, document)
    listing = Listing(kind="response", tenant=tenant)
    assert read(state, documents.page, replace(listing, label="batch")).documents == (batch,)
    with pytest.raises(BadInput, match="to list after"):
        read(state, documents.page, replace(listing, after="nothing"))


def test_an_id_is_taken_once(state: State) -> None:
    document = response(fresh())
    write(state, documents.create, document)
    with pytest.raises(BadInput, match="already"):
        write(state, documents.create, replace(document, tenant="other", body=b"other"))
    assert read(state, documents.get, "response", document.id, document.tenant) == document


def test_of_changes_at_once_none_is_lost(state: State) -> None:
    document = replace(response(fresh()), body=b"0")
    write(state, documents.create, document)

    def grow(transaction) -> bool:
        now = documents.get(transaction, "response", document.id, document.tenant)
        assert now is not None
        return documents.update(transaction, replace(now, body=b"%d" % (int(now.body) + 1)))

    done = sum(together(state, [grow] * 30))
    now = read(state, documents.get, "response", document.id, document.tenant)
    assert (now.revision, int(now.body)) == (done, done) and done > 0
    assert not write(state, documents.update, replace(document, body=b"stale"))


def test_who_goes_on_finds_what_was_under_way(state: State) -> None:
    status = fresh("status")
    made = [replace(response(fresh(), age), status=status) for age in (3.0, 1.0)]
    for document in made:
        write(state, documents.create, document)
    assert read(state, standing.open_ones, "response", [status]) == made[::-1]


def test_expired_ones_are_swept_with_all_that_is_theirs(state: State) -> None:
    tenant = fresh()
    old, new, forever = (response(tenant, 0.0, expires=when) for when in (1e3, 2e3, None))
    for document in (old, new, forever):
        write(state, documents.create, document)
    write(state, items.append, old.id, tenant, [Item("i", b"text")])
    swept = [each for each in write(state, deleting.sweep, 1500.0) if each.tenant == tenant]
    assert [(each.id, each.kind) for each in swept] == [(old.id, "response")]
    listing = Listing(kind="response", tenant=tenant)
    assert set(read(state, documents.page, listing).documents) == {new, forever}
    assert read(state, items.get, old.id, "i", tenant) is None


@given(
    parts=st.lists(st.lists(st.binary(max_size=40), max_size=4), max_size=4),
    limit=st.integers(1, 5),
    newest=st.booleans(),
)
@settings(max_examples=30)
def test_items_stay_in_order(
    state: State, parts: list[list[bytes]], limit: int, newest: bool
) -> None:
    owner = response(fresh())
    write(state, documents.create, owner)
    added: list[Item] = []
    for part in parts:
        new = [Item(fresh("item"), body, "input") for body in part]
        assert write(state, items.append, owner.id, owner.tenant, new)
        added += new
    added = [replace(item, position=i) for i, item in enumerate(added)]
    found: list[Item] = []
    wanted = Slice(owner=owner.id, tenant=owner.tenant, limit=limit, newest=newest)
    more = True
    while more:
        page, more = read(state, items.page, wanted)
        found += page
        wanted = replace(wanted, after=found[-1].id if found else None)
    assert found == (added[::-1] if newest else added)
    assert read(state, items.page, replace(wanted, part="output", after=None)) == ([], False)
    if added:
        assert write(state, items.delete, owner.id, added[0].id, owner.tenant)
        assert read(state, items.get, owner.id, added[0].id, owner.tenant) is None
        assert not write(state, items.delete, owner.id, added[0].id, owner.tenant)


def test_items_added_at_once_all_have_their_place(state: State) -> None:
    owner = response(fresh())
    write(state, documents.create, owner)
    calls = [
        partial(
            items.append,
            owner=owner.id,
            tenant=owner.tenant,
            items=[Item(f"{i}a", b""), Item(f"{i}b", b"")],
        )
        for i in range(25)
    ]
    assert all(together(state, calls))
    wanted = Slice(owner=owner.id, tenant=owner.tenant, limit=100, newest=False)
    found, _ = read(state, items.page, wanted)
    assert [item.position for item in found] == list(range(50))
    assert all(one.id[:-1] == two.id[:-1] for one, two in zip(found[::2], found[1::2], strict=True))


def test_items_of_others_are_not_there(state: State) -> None:
    owner = response(fresh())
    write(state, documents.create, owner)
    write(state, items.append, owner.id, owner.tenant, [Item("i", b"mine")])
    assert not write(state, items.append, owner.id, "other", [Item("j", b"")])
    assert read(state, items.page, Slice(owner=owner.id, tenant="other")) is None
    assert read(state, items.get, owner.id, "i", "other") is None
    assert not write(state, items.delete, owner.id, "i", "other")
    assert read(state, items.chain, owner.id, "other", 10) is None
    with pytest.raises(BadInput, match="already"):
        write(state, items.append, owner.id, owner.tenant, [Item("k", b""), Item("i", b"")])
    assert read(state, items.get, owner.id, "k", owner.tenant) is None  # all or nothing
    with pytest.raises(BadInput, match="to list after"):
        read(state, items.page, Slice(owner=owner.id, tenant=owner.tenant, after="k"))


@given(parents=st.lists(st.integers(0, 8), min_size=1, max_size=8), depth=st.integers(1, 6))
@settings(max_examples=30)
def test_branches_are_read_back_to_their_root(state: State, parents: list[int], depth: int) -> None:
    """Response i goes on from parents[i] where that is an earlier one, else from none."""
    tenant, made = fresh(), list[Document]()
    for i, parent in enumerate(parents):
        previous = made[parent].id if parent < i else None
        document = response(tenant, previous=previous)
        write(state, documents.create, document)
        two = [Item("in", b"q%d" % i, "input"), Item("out", b"a%d" % i, "output")]
        write(state, items.append, document.id, tenant, two[: 2 - i % 2])
        made.append(document)
    path = [len(made) - 1]
    while parents[path[-1]] < path[-1]:
        path.append(parents[path[-1]])
    texts = [text for i in path[:depth][::-1] for text in (b"q%d" % i, b"a%d" % i)[: 2 - i % 2]]
    chain = read(state, items.chain, made[-1].id, tenant, depth)
    assert [item.body for item in chain.items] == texts
    assert chain.missing == (made[path[depth]].id if len(path) > depth else None)


def test_a_chain_tells_where_it_breaks_off(state: State) -> None:
    tenant = fresh()
    root = response(tenant)
    branch = response(tenant, previous=root.id)
    for document in (root, branch):
        write(state, documents.create, document)
        write(state, items.append, document.id, tenant, [Item("i", document.id.encode())])
    write(state, deleting.delete, "response", root.id, tenant)
    chain = read(state, items.chain, branch.id, tenant, 10)
    assert chain.missing == root.id
    assert [item.body for item in chain.items] == [branch.id.encode()]
