"""How long after the time in its name a query can still get events, and have any left."""

from __future__ import annotations

from forebay.records.v1 import AnswerRecord
from forebay_kafka.topic_plan import longest_kept
from forebay_kafka.topics import topic_of
from forebay_server.request_ids import SECONDS_BACK

GRACE_SECONDS = 5.0  # for the worker that writes the failure of a query past its deadline
# To the last deadline there can be: a call that is tried again, then the contract's longest
# timeout, and a minute of clock difference.
LONGEST_SECONDS = SECONDS_BACK + 600.0 + 60.0
# By the broker's clock, with a minute for its difference. What is logged later counts for no
# reader, so that nobody has to read a day of the log for one query.
LIFETIME_MS = int((LONGEST_SECONDS + GRACE_SECONDS + 60.0) * 1000)
# From then on the log has nothing more that counts for a reader.
GONE_SECONDS = LIFETIME_MS / 1000 + longest_kept(topic_of(AnswerRecord)).total_seconds()
