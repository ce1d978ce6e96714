//! Values of type zset: not built yet, only their place in an entry.

/// A zset, by encoding.
pub enum Zset {
    Tree(Box<ZsetTree>),
}

/// What hangs off the entry.
pub struct ZsetTree(pub Vec<Vec<u8>>);

impl Zset {
    pub fn len(&self) -> usize {
        let Zset::Tree(v) = self;
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

    pub fn deep_clone(&self) -> Zset {
        let Zset::Tree(v) = self;
        Zset::Tree(Box::new(ZsetTree(v.0.clone())))
    }
}
