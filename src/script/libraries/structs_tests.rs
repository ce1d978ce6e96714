//! Tests of `struct` against a model: the bytes of Rust's own conversions.

use proptest::prelude::*;

use super::testing::Machine;

/// An item with its value as a script writes it, and its bytes in the order of small ends.
#[derive(Clone, Debug)]
struct Item {
    format: String,
    value: String,
    little: Vec<u8>,
}

fn integer(letter: char, size: usize, spelled: bool) -> impl Strategy<Value = Item> {
    (any::<i64>(), 0u32..64).prop_map(move |(n, less)| {
        // As many bits as a double has, and as the item has.
        let bits = 8 * size.min(6) as u32 - 1;
        let mut n = (n >> less) % (1 << bits);
        if letter.is_ascii_uppercase() {
            n = n.abs();
        }
        Item {
            format: if spelled {
                format!("{letter}{size}")
            } else {
                letter.to_string()
            },
            value: format!("{n}"),
            little: n.to_le_bytes()[..size].to_vec(),
        }
    })
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        integer('b', 1, false),
        integer('B', 1, false),
        integer('h', 2, false),
        integer('H', 2, false),
        integer('l', 8, false),
        integer('T', 8, false),
        (1usize..=8).prop_flat_map(|n| integer('i', n, true)),
        (1usize..=8).prop_flat_map(|n| integer('I', n, true)),
        any::<f64>()
            .prop_filter("a number", |n| n.is_finite())
            .prop_map(|n| Item {
                format: "d".into(),
                value: format!("{n:e}"),
                little: n.to_le_bytes().to_vec(),
            }),
        any::<f32>()
            .prop_filter("a number", |n| n.is_finite())
            .prop_map(|n| Item {
                format: "f".into(),
                value: format!("{:e}", f64::from(n)),
                little: n.to_le_bytes().to_vec(),
            }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_the_bytes_of_the_model_and_come_back(
        items in prop::collection::vec(item(), 0..8),
        big in any::<bool>(),
        align in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
    ) {
        let mut format = format!("{}!{align} ", if big { '>' } else { '<' });
        let mut bytes = Vec::new();
        let mut values = Vec::new();
        // Sizes that are no powers of 2 are aligned in no useful way.
        for item in items.iter().filter(|i| align == 1 || i.little.len().is_power_of_two()) {
            format.push_str(&item.format);
            values.push(item.value.clone());
            let size = item.little.len();
            while bytes.len() % size.min(align) != 0 {
                bytes.push(0);
            }
            let mut item = item.little.clone();
            if big { item.reverse() }
            bytes.extend_from_slice(&item);
        }
        let mut machine = Machine::new();
        let args: String = values.iter().map(|v| format!(", {v}")).collect();
        let packed = machine.run(&format!("return (struct.pack('{format}'{args}))"), b"");
        prop_assert_eq!(packed.as_ref(), Ok(&bytes));
        values.push((bytes.len() + 1).to_string());
        let back = machine.eval_with(&format!("struct.unpack('{format}', arg)"), &bytes);
        prop_assert_eq!(back, machine.eval(&values.join(", ")));
        let size = machine.eval(&format!("struct.size('{format}')"));
        prop_assert_eq!(size, bytes.len().to_string());
    }

    #[test]
    fn any_format_packs_unpacks_or_fails(
        format in "[bBhHlLTiIxcsfd<>! 0-9zq%]{0,12}",
        data in prop::collection::vec(any::<u8>(), 0..40),
        at in -3i64..50,
    ) {
        let mut machine = Machine::new();
        for call in [
            format!("struct.unpack('{format}', arg, {at})"),
            format!("struct.pack('{format}', 1, 2, arg, arg, 1e300, 0/0, -1)"),
            format!("struct.size('{format}')"),
        ] {
            let found = machine.eval_with(&call, &data);
            prop_assert!(!found.starts_with("FAILED"), "{}", found);
        }
    }
}

#[test]
fn wild_sizes_are_refused() {
    let mut machine = Machine::new();
    for (call, wanted) in [
        (
            "struct.pack('c2147483647', 'x')",
            "bad argument #3 to 'pack' (string too short)",
        ),
        (
            "struct.unpack('I2147483647', 'x')",
            "integral size 2147483647 is larger than limit of 32",
        ),
        (
            "struct.unpack('c4294967296', 'x')",
            "integral size overflow",
        ),
        (
            "struct.unpack('dc0', struct.pack('d', 2^63) .. 'x')",
            "bad argument #2 to 'unpack' (data string too short)",
        ),
        (
            "struct.pack(string.rep('s', 7000), unpack((function() local t, s = {}, string.rep('x', 1000000) \
             for i = 1, 7000 do t[i] = s end return t end)()))",
            "resulting string too large",
        ),
    ] {
        assert_eq!(machine.eval(call), format!("ERR \"{wanted}\""));
    }
}
