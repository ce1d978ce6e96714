//! Values of type stream: not built yet, only their place in an entry.

/// A stream.
pub struct Stream(pub Box<StreamData>);

/// What hangs off the entry.
pub struct StreamData(pub Vec<Vec<u8>>);

impl Stream {
    pub fn len(&self) -> usize {
        self.0.0.len()
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

    pub fn deep_clone(&self) -> Stream {
        Stream(Box::new(StreamData(self.0.0.clone())))
    }
}
