//! What happens in the runs that the bugs are planted in.

/// Four nodes; one crashes, one leaves, one sets a value.
pub(super) const RUN: &str = r#"
[cluster]
stable-after = "5s"
[[node]]
name = "a"
[[node]]
name = "b"
[[node]]
name = "c"
[[node]]
name = "d"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "set-state"
node = "b"
key = "colour"
value = "red"
[[step]]
at = "30s"
do = "leave"
node = "d"
[[step]]
at = "120s"
do = "heal"
"#;

/// One of three is gone without a word.
pub(super) const CRASHED: &str = r#"
[cluster]
stable-after = "5s"
[[node]]
name = "a"
[[node]]
name = "b"
[[node]]
name = "c"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "crash"
node = "c"
[[step]]
at = "120s"
do = "heal"
"#;

/// The same, and nobody gives the cluster up.
pub(super) const LASTS: &str = r#"
[cluster]
stable-after = "5s"
downing.down-all-when-unstable = "off"
[[node]]
name = "a"
[[node]]
name = "b"
[[node]]
name = "c"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "crash"
node = "c"
[[step]]
at = "38s"
do = "heal"
"#;

/// One of three is declared down, though it is well.
pub(super) const DOWNED: &str = r#"
[cluster]
stable-after = "5s"
[[node]]
name = "a"
[[node]]
name = "b"
[[node]]
name = "c"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "down"
node = "c"
via = "a"
[[step]]
at = "120s"
do = "heal"
"#;

/// Two operators, each on one side of a partition, declare the other side down, and nothing tells either side so.
pub(super) const TWO_OPERATORS: &str = r#"
[cluster]
downing.strategy = "off"
[[node]]
name = "a"
[[node]]
name = "b"
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "cut"
from = "a"
to = "b"
[[step]]
at = "40s"
do = "down"
node = "b"
via = "a"
[[step]]
at = "40s"
do = "down"
node = "a"
via = "b"
[[step]]
at = "120s"
do = "heal"
"#;

/// The same, and both sides know where the other one may be, and have time to ask.
pub(super) const TWO_OPERATORS_OF_ONE_CLUSTER: &str = r#"
[cluster]
downing.strategy = "off"
[[node]]
name = "a"
seeds = ["a", "b"]
[[node]]
name = "b"
seeds = ["a", "b"]
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "cut"
from = "a"
to = "b"
[[step]]
at = "40s"
do = "down"
node = "b"
via = "a"
[[step]]
at = "40s"
do = "down"
node = "a"
via = "b"
[[step]]
at = "120s"
do = "heal"
[[step]]
at = "400s"
do = "heal"
"#;

/// Contact points that knew of three form the cluster again beside those that came later, let in another one, and leave: no contact point is left.
pub(super) const TWO_CLUSTERS: &str = r#"
[cluster]
stable-after = "5s"
[[node]]
name = "a"
seeds = ["a", "b"]
[[node]]
name = "b"
seeds = ["a", "b"]
[[node]]
name = "c"
seeds = ["a", "b"]
[[node]]
name = "d"
seeds = ["a", "b", "c"]
[[node]]
name = "e"
seeds = ["a", "b", "c"]
[[node]]
name = "f"
seeds = ["a", "b"]
[[step]]
at = "0s"
do = "start"
nodes = ["a", "b", "c"]
[[step]]
at = "20s"
do = "crash"
node = "a"
[[step]]
at = "21s"
do = "down"
node = "a"
via = "c"
[[step]]
at = "40s"
do = "crash"
node = "b"
[[step]]
at = "41s"
do = "down"
node = "b"
via = "c"
[[step]]
at = "60s"
do = "start"
nodes = ["d", "e"]
[[step]]
at = "100s"
do = "cut"
from = ["a", "b", "f"]
to = ["c", "d", "e"]
[[step]]
at = "100s"
do = "start"
nodes = ["a", "b", "f"]
[[step]]
at = "140s"
do = "leave"
node = "a"
[[step]]
at = "145s"
do = "leave"
node = "b"
[[step]]
at = "170s"
do = "set-state"
node = "f"
key = "agreed"
value = "one"
[[step]]
at = "180s"
do = "heal"
[[expect]]
at = "180s"
on = "f"
members = ["f"]
[[expect]]
at = "180s"
on = ["c", "d", "e"]
members = ["c", "d", "e"]
"#;

/// A contact point is back: it hears of both.
pub(super) const A_CONTACT_POINT_IS_BACK: &str = r#"
[[step]]
at = "200s"
do = "start"
node = "b"
[[step]]
at = "300s"
do = "heal"
"#;

/// All of three hold a kind, set one key alike, and say a word.
pub(super) const ALIKE: &str = r#"
[[node]]
name = "a"
kinds = ["counter"]
[[node]]
name = "b"
kinds = ["counter"]
[[node]]
name = "c"
kinds = ["counter"]
[[step]]
at = "0s"
do = "start"
[[step]]
at = "20s"
do = "set-state"
node = "a"
key = "agreed"
value = "one"
[[step]]
at = "20s"
do = "set-state"
node = "b"
key = "agreed"
value = "one"
[[step]]
at = "20s"
do = "set-state"
node = "c"
key = "agreed"
value = "one"
[[step]]
at = "30s"
do = "broadcast"
node = "a"
word = "quiet a"
[[step]]
at = "30s"
do = "broadcast"
node = "c"
word = "quiet c"
[[step]]
at = "60s"
do = "heal"
"#;
