//! Values of type list: not built yet, only their place in an entry.

/// A list, by encoding.
pub enum List {
    Quicklist(Box<Placeholder>),
}

/// What hangs off the entry.
pub struct Placeholder(pub Vec<Vec<u8>>);

impl List {
    pub fn len(&self) -> usize {
        let List::Quicklist(v) = self;
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

    pub fn deep_clone(&self) -> List {
        let List::Quicklist(v) = self;
        List::Quicklist(Box::new(Placeholder(v.0.clone())))
    }
}
