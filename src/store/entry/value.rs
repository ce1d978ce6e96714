//! The values that hang off an entry by one pointer: everything but strings.
//!
//! Each type is a plain Rust enum of its encodings in its own file of `store/`; an entry keeps the enum's discriminant in
//! its header (type and encoding) and the enum's payload, a pointer-sized owner, in its slot. Here the two are put together
//! again: [`ValueRef`] and [`ValueMut`] are the enum on the stack, borrowed from the entry, so that a conversion is a plain
//! assignment and costs the entry no move.
//!
//! Invariants: a payload is one word and never null; an entry whose value is out in a [`ValueMut`] owns nothing, so a value
//! that is forgotten leaks and is not freed twice.
//!
//! It knows the types' names and encodings, nothing of what they do.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{Encoding, Entry, PTR, TYPE_MASK, TYPE_SHIFT, Type};
use crate::ds::intset::Intset;
use crate::ds::listpack::Listpack;
use crate::ds::owned::Own;
use crate::ds::quicklist::Quicklist;
use crate::store::hash::{Hash, HashTable};
use crate::store::list::List;
use crate::store::set::{Set, SetTable};
use crate::store::stream::{Stream, StreamData};
use crate::store::zset::{Zset, ZsetTree};

/// A type whose values hang off an entry.
///
/// # Safety
/// `from_word` must give back what `into_word` took when it is told the encoding that `encoding` answered before.
pub(crate) unsafe trait SlotValue: Sized {
    const TYPE: Type;
    fn encoding(&self) -> Encoding;
    fn into_word(self) -> NonNull<u8>;
    /// # Safety
    /// `word` comes from `into_word` of a value with this encoding, and is given back once, or only borrowed from.
    unsafe fn from_word(encoding: Encoding, word: NonNull<u8>) -> Self;
}

/// The word of a pointer-sized owner.
#[inline]
fn word_of<T>(owner: T) -> NonNull<u8> {
    const { assert!(size_of::<T>() == size_of::<NonNull<u8>>()) };
    let owner = ManuallyDrop::new(owner);
    // SAFETY: the owners below are transparent over a NonNull: one word, never null.
    unsafe { std::mem::transmute_copy::<ManuallyDrop<T>, NonNull<u8>>(&owner) }
}

/// # Safety
/// `word` comes from `word_of::<T>`.
#[inline]
unsafe fn owner_of<T>(word: NonNull<u8>) -> T {
    const { assert!(size_of::<T>() == size_of::<NonNull<u8>>()) };
    // SAFETY: by the caller's word, this is the bit pattern of a T.
    unsafe { std::mem::transmute_copy::<NonNull<u8>, T>(&word) }
}

/// Ties each variant of a type to its encoding and its one-word payload.
macro_rules! slot_value {
    ($ty:ident: $($variant:ident($owner:ty) = $encoding:ident),+) => {
        // SAFETY: each variant's payload is one word, and encoding and variant stand in one line of the call.
        unsafe impl SlotValue for $ty {
            const TYPE: Type = Type::$ty;
            #[inline]
            fn encoding(&self) -> Encoding {
                match self {
                    $($ty::$variant(_) => Encoding::$encoding,)+
                }
            }
            #[inline]
            fn into_word(self) -> NonNull<u8> {
                match self {
                    $($ty::$variant(owner) => word_of::<$owner>(owner),)+
                }
            }
            #[inline]
            unsafe fn from_word(encoding: Encoding, word: NonNull<u8>) -> $ty {
                match encoding {
                    // SAFETY: the variant of this encoding has this owner.
                    $(Encoding::$encoding => $ty::$variant(unsafe { owner_of::<$owner>(word) }),)+
                    _ => unreachable!("an encoding of another type"),
                }
            }
        }
    };
}

slot_value!(List: Listpack(Listpack) = Listpack, Quicklist(Own<Quicklist>) = Quicklist);
slot_value!(Set: Intset(Intset) = Intset, Listpack(Listpack) = Listpack, Table(Own<SetTable>) = Ht);
slot_value!(Hash: Listpack(Listpack) = Listpack, Table(Own<HashTable>) = Ht);
slot_value!(Zset: Listpack(Listpack) = Listpack, Tree(Own<ZsetTree>) = Skiplist);

// SAFETY: there is one encoding, and its payload is one word.
unsafe impl SlotValue for Stream {
    const TYPE: Type = Type::Stream;
    #[inline]
    fn encoding(&self) -> Encoding {
        Encoding::Stream
    }
    #[inline]
    fn into_word(self) -> NonNull<u8> {
        word_of::<Own<StreamData>>(self.0)
    }
    #[inline]
    unsafe fn from_word(_: Encoding, word: NonNull<u8>) -> Stream {
        // SAFETY: by the caller's word.
        Stream(unsafe { owner_of::<Own<StreamData>>(word) })
    }
}

/// A value of any type but a string, without a key.
pub(crate) enum Value {
    List(List),
    Set(Set),
    Zset(Zset),
    Hash(Hash),
    Stream(Stream),
}

/// Does the same to whatever type it is.
macro_rules! each_type {
    ($value:expr, $v:ident => $body:expr) => {
        match $value {
            Value::List($v) => $body,
            Value::Set($v) => $body,
            Value::Zset($v) => $body,
            Value::Hash($v) => $body,
            Value::Stream($v) => $body,
        }
    };
}

impl Value {
    pub(crate) fn value_type(&self) -> Type {
        match self {
            Value::List(_) => Type::List,
            Value::Set(_) => Type::Set,
            Value::Zset(_) => Type::Zset,
            Value::Hash(_) => Type::Hash,
            Value::Stream(_) => Type::Stream,
        }
    }

    #[inline]
    pub(crate) fn encoding(&self) -> Encoding {
        each_type!(self, v => v.encoding())
    }

    /// Elements: of a list, members, pairs, entries of a stream.
    pub(crate) fn len(&self) -> usize {
        each_type!(self, v => v.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that hang off the entry.
    pub(crate) fn mem_usage(&self) -> usize {
        each_type!(self, v => v.mem_usage())
    }

    /// The same; of what is many allocations, as a sample of so many elements has it.
    pub(crate) fn mem_usage_sampled(&self, samples: usize) -> usize {
        match self {
            Value::Set(v) => v.mem_usage_sampled(samples),
            Value::Hash(v) => v.mem_usage_sampled(samples),
            v => v.mem_usage(),
        }
    }

    /// How many allocations it takes to free it, about (lazyfreeGetFreeEffort).
    pub(crate) fn free_effort(&self) -> usize {
        each_type!(self, v => v.free_effort())
    }

    /// A copy that shares nothing (COPY).
    pub(crate) fn deep_clone(&self) -> Value {
        match self {
            Value::List(v) => Value::List(v.deep_clone()),
            Value::Set(v) => Value::Set(v.deep_clone()),
            Value::Zset(v) => Value::Zset(v.deep_clone()),
            Value::Hash(v) => Value::Hash(v.deep_clone()),
            Value::Stream(v) => Value::Stream(v.deep_clone()),
        }
    }

    pub(super) fn into_word(self) -> NonNull<u8> {
        each_type!(self, v => v.into_word())
    }

    /// # Safety
    /// `word` comes from `into_word` of a value of this type and encoding, and is given back once, or only borrowed from.
    pub(super) unsafe fn from_word(
        value_type: Type,
        encoding: Encoding,
        word: NonNull<u8>,
    ) -> Value {
        // SAFETY: handed on to the type that made the word.
        unsafe {
            match value_type {
                Type::List => Value::List(List::from_word(encoding, word)),
                Type::Set => Value::Set(Set::from_word(encoding, word)),
                Type::Zset => Value::Zset(Zset::from_word(encoding, word)),
                Type::Hash => Value::Hash(Hash::from_word(encoding, word)),
                Type::Stream => Value::Stream(Stream::from_word(encoding, word)),
                Type::String => unreachable!("a string is no Value"),
            }
        }
    }
}

/// A value as it is read: borrowed from its entry.
pub(crate) struct ValueRef<'a, T> {
    value: ManuallyDrop<T>,
    borrowed: PhantomData<&'a Entry>,
}

impl<T> Deref for ValueRef<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value that is being changed: it goes back into its entry on drop, in whatever encoding it has then.
pub(crate) struct ValueMut<'a, T: SlotValue> {
    value: ManuallyDrop<T>,
    entry: &'a mut Entry,
}

impl<T: SlotValue> Deref for ValueMut<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: SlotValue> DerefMut for ValueMut<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: SlotValue> Drop for ValueMut<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let encoding = self.value.encoding();
        // SAFETY: taken once, here.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        self.entry.put_word(T::TYPE, encoding, value.into_word());
    }
}

impl Entry {
    /// Whether a `T` hangs off the slot.
    #[inline]
    fn hangs<T: SlotValue>(&self) -> bool {
        self.header() & (PTR | TYPE_MASK) == PTR | (T::TYPE as u64) << TYPE_SHIFT
    }

    /// The value as a `T`; `None` when it is of another type.
    #[inline]
    pub(crate) fn value<T: SlotValue>(&self) -> Option<ValueRef<'_, T>> {
        if !self.hangs::<T>() {
            return None;
        }
        // SAFETY: the slot holds a word of this type and encoding; the result never drops it and lives no longer than the
        // borrow of the entry.
        let value = unsafe { T::from_word(self.encoding(), self.word()) };
        Some(ValueRef {
            value: ManuallyDrop::new(value),
            borrowed: PhantomData,
        })
    }

    /// The value of whatever type; `None` for a string.
    pub(crate) fn any_value(&self) -> Option<ValueRef<'_, Value>> {
        if self.value_type() == Type::String || self.header() & PTR == 0 {
            return None;
        }
        // SAFETY: as in `value`.
        let value = unsafe { Value::from_word(self.value_type(), self.encoding(), self.word()) };
        Some(ValueRef {
            value: ManuallyDrop::new(value),
            borrowed: PhantomData,
        })
    }

    #[inline]
    pub(super) fn value_mut<T: SlotValue>(&mut self) -> Option<ValueMut<'_, T>> {
        if !self.hangs::<T>() {
            return None;
        }
        let encoding = self.encoding();
        let word = self.take_word();
        // SAFETY: the slot owned this word and was just emptied.
        let value = unsafe { T::from_word(encoding, word) };
        Some(ValueMut {
            value: ManuallyDrop::new(value),
            entry: self,
        })
    }
}
