//! An owner of one value on the heap, as a `Box` is, that may be put together again from its pointer while others borrow the
//! value: a `Box` claims to be the only way to what it owns whenever it is moved, an [`Own`] only when it is used as such.
//!
//! Invariant: the pointer comes from a `Box`, and one `Own` that is not in a `ManuallyDrop` has it.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// One word, never null.
#[repr(transparent)]
pub(crate) struct Own<T>(NonNull<T>);

// SAFETY: it owns a T as a Box does.
unsafe impl<T: Send> Send for Own<T> {}

impl<T> Own<T> {
    #[inline]
    pub(crate) fn new(value: T) -> Own<T> {
        Own(NonNull::from(Box::leak(Box::new(value))))
    }

    /// The value itself, off the heap.
    pub(crate) fn into_inner(self) -> T {
        let own = std::mem::ManuallyDrop::new(self);
        // SAFETY: it came from a Box, and is not used any more.
        *unsafe { Box::from_raw(own.0.as_ptr()) }
    }
}

impl<T: Default> Default for Own<T> {
    fn default() -> Own<T> {
        Own::new(T::default())
    }
}

impl<T> Deref for Own<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it lives as long as its owner, which is borrowed.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Own<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and the owner is borrowed mutably.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Own<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it came from a Box, and is not used any more.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::ManuallyDrop;

    #[test]
    fn what_is_borrowed_stays_good_when_the_owner_is_put_together_again() {
        let own = Own::new(vec![1, 2, 3]);
        let seen: &Vec<i32> = &own;
        let again = ManuallyDrop::new(Own(own.0));
        assert_eq!(again.len(), 3);
        assert_eq!(seen[0], 1);
        assert_eq!(own.into_inner(), [1, 2, 3]);
    }

    #[test]
    fn it_is_changed_and_dropped() {
        let shared = std::rc::Rc::new(());
        let mut own: Own<Vec<_>> = Own::default();
        own.push(shared.clone());
        assert_eq!(std::rc::Rc::strong_count(&shared), 2);
        drop(own);
        assert_eq!(std::rc::Rc::strong_count(&shared), 1);
    }
}
