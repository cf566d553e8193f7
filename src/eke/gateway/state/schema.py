"""The tables, and how older ones become these. Written as SQLite says it."""

from __future__ import annotations

from eke.errors import StateError
from eke.gateway.state.transaction import Transaction

# Each entry changes the tables once; what was released is never edited, only added to. Columns of
# text that people wrote are BLOB: bytes as `Transaction.seal` makes them. Times are UTC [s].
_FIRST = """
CREATE TABLE documents (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, tenant TEXT NOT NULL, created REAL NOT NULL,
  status TEXT NOT NULL, body BLOB NOT NULL, expires REAL, label TEXT NOT NULL, previous TEXT,
  revision INTEGER NOT NULL
);
CREATE INDEX documents_listed ON documents (tenant, kind, created, id);
CREATE INDEX documents_status ON documents (kind, status);
CREATE INDEX documents_expiring ON documents (expires) WHERE expires IS NOT NULL;

CREATE TABLE items (
  owner TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE, position INTEGER NOT NULL,
  id TEXT NOT NULL, part TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (owner, position), UNIQUE (owner, id)
);

CREATE TABLE blobs (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created REAL NOT NULL, size INTEGER NOT NULL,
  pieces INTEGER NOT NULL, complete INTEGER NOT NULL
);
CREATE INDEX blobs_begun ON blobs (created) WHERE complete = 0;
CREATE TABLE pieces (
  blob TEXT NOT NULL REFERENCES blobs (id) ON DELETE CASCADE, number INTEGER NOT NULL,
  body BLOB NOT NULL, PRIMARY KEY (blob, number)
);

CREATE TABLE works (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, tenant TEXT NOT NULL, body BLOB NOT NULL,
  due REAL NOT NULL, parent TEXT, position INTEGER NOT NULL, state TEXT NOT NULL, owner TEXT,
  until REAL, attempts INTEGER NOT NULL, result BLOB
);
CREATE INDEX works_parent ON works (parent, position, state) WHERE parent IS NOT NULL;
CREATE INDEX works_due ON works (kind, due, position, tenant) WHERE state = 'queued';
CREATE INDEX works_until ON works (until) WHERE state = 'claimed';
CREATE INDEX works_owner ON works (owner) WHERE state = 'claimed';

CREATE TABLE budgets (
  tenant TEXT NOT NULL, name TEXT NOT NULL, starts REAL NOT NULL, ends REAL NOT NULL,
  most INTEGER NOT NULL, spent INTEGER NOT NULL, leased INTEGER NOT NULL, lost INTEGER NOT NULL,
  PRIMARY KEY (tenant, name, starts)
);
CREATE INDEX budgets_ends ON budgets (ends);
CREATE TABLE leases (
  tenant TEXT NOT NULL, name TEXT NOT NULL, starts REAL NOT NULL, gateway TEXT NOT NULL,
  amount INTEGER NOT NULL, lost INTEGER NOT NULL, until REAL NOT NULL,
  PRIMARY KEY (tenant, name, starts, gateway),
  FOREIGN KEY (tenant, name, starts) REFERENCES budgets (tenant, name, starts) ON DELETE CASCADE
);
CREATE INDEX leases_until ON leases (until) WHERE amount > 0;

CREATE TABLE rows (
  gateway TEXT NOT NULL, number INTEGER NOT NULL, arrived_at REAL NOT NULL, arrived REAL NOT NULL,
  started REAL, first REAL, finished REAL NOT NULL, prompt INTEGER NOT NULL,
  asked INTEGER NOT NULL, tokens INTEGER NOT NULL, cached INTEGER NOT NULL, tenant TEXT NOT NULL,
  kind TEXT NOT NULL, model TEXT NOT NULL, priority INTEGER NOT NULL, tier TEXT NOT NULL,
  engine TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, tries INTEGER NOT NULL,
  session INTEGER, ttft REAL, deadline REAL, seconds REAL NOT NULL, energy REAL NOT NULL,
  cost REAL NOT NULL, charged REAL NOT NULL, saved REAL NOT NULL,
  PRIMARY KEY (gateway, number)
);
CREATE INDEX rows_arrived ON rows (arrived_at, gateway, number);
CREATE TABLE samples (
  gateway TEXT NOT NULL, engine TEXT NOT NULL, time REAL NOT NULL, running INTEGER NOT NULL,
  waiting INTEGER NOT NULL, queued INTEGER NOT NULL, cache REAL NOT NULL, busy REAL NOT NULL,
  tokens REAL NOT NULL, alive INTEGER NOT NULL, PRIMARY KEY (time, gateway, engine)
);

CREATE TABLE tenants (name TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE keys (
  hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL,
  revoked REAL, used REAL
);
CREATE INDEX keys_tenant ON keys (tenant);

CREATE TABLE gateways (
  id TEXT PRIMARY KEY, started REAL NOT NULL, heard REAL NOT NULL, body BLOB NOT NULL
)
"""
_ENDED = """
CREATE INDEX rows_ended ON rows ((arrived_at + finished - arrived), gateway, number)
"""
CHANGES = (_FIRST, _ENDED)


def make(transaction: Transaction) -> None:
    """Bring the tables to what this eke knows. Raises StateError where they are newer."""
    transaction.first()
    _table(transaction, "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)")
    row = transaction.one("SELECT value FROM meta WHERE name = ?", "schema")
    done = int(row[0]) if row else 0
    if done > len(CHANGES):
        raise StateError(
            f"{transaction.dialect.name}: made by a newer eke (schema {done}; this one knows "
            f"{len(CHANGES)}). Upgrade eke, or give the gateway another state."
        )
    for change in CHANGES[done:]:
        for statement in change.split(";"):
            _table(transaction, statement)
    if done < len(CHANGES):
        transaction.run(
            "INSERT INTO meta (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            *("schema", str(len(CHANGES))),
        )


def _table(transaction: Transaction, statement: str) -> None:
    transaction.run(transaction.dialect.types(statement))
