//! `math.random` and `math.randomseed`: the sequence of drand48, the same on every machine for the same seed.
//!
//! Answers to rand.c and to redis_math_random of script_lua.c.

use super::super::lua::{Call, Lua, Raise, Returned};
use super::{LibraryHost, argument_error, check_int};

/// The generator: 48 bits, x' = 0x5DEECE66D x + 11.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Random {
    x: u64,
}

impl Default for Random {
    /// As upstream's is before the first script.
    fn default() -> Random {
        Random {
            x: 0x1234_ABCD_330E,
        }
    }
}

impl Random {
    const FACTOR: u64 = 0x5_DEEC_E66D;
    const ADDEND: u64 = 0xB;
    const MASK: u64 = (1 << 48) - 1;
    /// The lower 16 bits after a seed.
    const SEED_LOW: u64 = 0x330E;

    pub(super) fn seeded(seed: i32) -> Random {
        Random {
            x: u64::from(seed as u32) << 16 | Random::SEED_LOW,
        }
    }

    /// The next 31 bits (redisLrand48).
    fn next(&mut self) -> i32 {
        self.x = self
            .x
            .wrapping_mul(Random::FACTOR)
            .wrapping_add(Random::ADDEND)
            & Random::MASK;
        (self.x >> 17) as i32
    }
}

/// Pushes the table of `random` and `randomseed`.
pub(crate) fn open<H: LibraryHost>(lua: &mut Lua<H>) {
    lua.push_table(0, 2);
    lua.push_function(random::<H>);
    lua.set_raw_field(-2, b"random");
    lua.push_function(randomseed::<H>);
    lua.set_raw_field(-2, b"randomseed");
}

fn random<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let state = call.host().library_state();
    let drawn = state.random.next();
    let r = f64::from(drawn % i32::MAX) / f64::from(i32::MAX);
    let n = match call.top() {
        0 => r,
        1 => {
            let most = check_int(call, 1)?;
            if most < 1 {
                return Err(argument_error(call, 1, "interval is empty"));
            }
            (r * f64::from(most)).floor() + 1.0
        }
        2 => {
            let least = check_int(call, 1)?;
            let most = check_int(call, 2)?;
            if least > most {
                return Err(argument_error(call, 2, "interval is empty"));
            }
            let width = most.wrapping_sub(least).wrapping_add(1);
            (r * f64::from(width)).floor() + f64::from(least)
        }
        _ => return Err(Raise::text("wrong number of arguments")),
    };
    call.push_number(n);
    Ok(1)
}

fn randomseed<H: LibraryHost>(call: &mut Call<H>) -> Returned {
    let seed = check_int(call, 1)?;
    let state = call.host().library_state();
    let before = std::mem::replace(&mut state.random, Random::seeded(seed));
    state.random_before_seed.get_or_insert(before);
    state.dirty = true;
    Ok(0)
}
