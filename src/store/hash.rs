//! Values of type hash: not built yet, only their place in an entry.

/// A hash, by encoding.
pub enum Hash {
    Table(Box<HashTable>),
}

/// What hangs off the entry.
pub struct HashTable(pub Vec<Vec<u8>>);

impl Hash {
    pub fn len(&self) -> usize {
        let Hash::Table(v) = self;
        v.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn mem_usage(&self) -> usize {
        self.len()
    }

    pub fn free_effort(&self) -> usize {
        self.len()
    }

    pub fn deep_clone(&self) -> Hash {
        let Hash::Table(v) = self;
        Hash::Table(Box::new(HashTable(v.0.clone())))
    }
}
