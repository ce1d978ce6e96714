//! The name of a node, or of a shard: forty characters of a-z and 0-9 (verifyClusterNodeId).

use std::fmt;

use super::format::CLUSTER_NAMELEN;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name([u8; CLUSTER_NAMELEN]);

impl Name {
    /// None: that is no name.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Name> {
        let name: [u8; CLUSTER_NAMELEN] = bytes.try_into().ok()?;
        let valid = name
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        valid.then_some(Name(name))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; CLUSTER_NAMELEN] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only ASCII is in it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
