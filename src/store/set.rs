//! Values of type set: not built yet, only their place in an entry.

/// A set, by encoding.
pub enum Set {
    Table(Box<SetTable>),
}

/// What hangs off the entry.
pub struct SetTable(pub Vec<Vec<u8>>);

impl Set {
    pub fn len(&self) -> usize {
        let Set::Table(v) = self;
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

    pub fn deep_clone(&self) -> Set {
        let Set::Table(v) = self;
        Set::Table(Box::new(SetTable(v.0.clone())))
    }
}
