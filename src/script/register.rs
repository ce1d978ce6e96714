//! `redis.register_function`: how a library that loads registers its functions (function_lua.c).

use std::rc::Rc;

use crate::script::convert::push_error;
use crate::script::flags::ScriptFlags;
use crate::script::function_set::{BAD_NAME, Function, is_name};
use crate::script::lua::{Call, Kind, Raise, Returned};
use crate::server::Server;

/// A string, or a number as one, up to a NUL where it has one.
fn string_at(call: &mut Call<Server>, i: i32) -> Option<Vec<u8>> {
    call.to_bytes(i).map(<[u8]>::to_vec)
}

/// The flags in the table on top of the stack; none: it has one that is unknown.
fn flags_on_top(call: &mut Call<Server>) -> Option<ScriptFlags> {
    let table = call.top();
    let mut flags = ScriptFlags::empty();
    for i in 1.. {
        if call.get_raw_index(table, i) == Kind::Nil {
            break;
        }
        let name = call.to_bytes(-1)?.to_ascii_lowercase();
        flags |= ScriptFlags::by_name(&name)?;
        call.pop(1);
    }
    call.truncate(table);
    Some(flags)
}

/// The one table of named arguments.
fn named_arguments(call: &mut Call<Server>) -> Result<(Vec<u8>, Function), &'static str> {
    if call.kind(1) != Kind::Table {
        return Err(
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named \
             arguments).",
        );
    }
    let (mut name, mut description, mut callback) = (None, None, None);
    let mut flags = ScriptFlags::empty();
    call.push_nil();
    let mut result = Ok(());
    while call.next(1) {
        // A copy, since a number would become a string in its place, and the walk would lose its way.
        call.push_copy(-2);
        let Some(key) = string_at(call, -1) else {
            result = Err("named argument key given to redis.register_function is not a string");
            break;
        };
        call.pop(1);
        let is = |word: &str| key.eq_ignore_ascii_case(word.as_bytes());
        result = if is("function_name") {
            name = string_at(call, -1);
            name.is_some()
                .then_some(())
                .ok_or("function_name argument given to redis.register_function must be a string")
        } else if is("description") {
            description = string_at(call, -1);
            description
                .is_some()
                .then_some(())
                .ok_or("description argument given to redis.register_function must be a string")
        } else if is("callback") {
            if call.kind(-1) == Kind::Function {
                call.push_copy(-1);
                let before = callback.replace(call.keep());
                before.into_iter().for_each(|k| call.drop_kept(k));
                Ok(())
            } else {
                Err("callback argument given to redis.register_function must be a function")
            }
        } else if is("flags") {
            match call.kind(-1) {
                Kind::Table => flags_on_top(call)
                    .map(|f| flags = f)
                    .ok_or("unknown flag given"),
                _ => Err(
                    "flags argument to redis.register_function must be a table representing function flags",
                ),
            }
        } else {
            Err("unknown argument given to redis.register_function")
        };
        if result.is_err() {
            break;
        }
        call.pop(1);
    }
    let result = result.and_then(|()| {
        let name = name.ok_or("redis.register_function must get a function name argument")?;
        callback.ok_or("redis.register_function must get a callback argument")?;
        Ok(name)
    });
    match (result, callback) {
        (Ok(name), Some(function)) => {
            let f = Function {
                name: name[..].into(),
                description,
                flags,
                usage: Rc::default(),
                function,
            };
            Ok((name, f))
        }
        (Err(problem), callback) => {
            callback.into_iter().for_each(|k| call.drop_kept(k));
            Err(problem)
        }
        (Ok(_), None) => Err("redis.register_function must get a callback argument"),
    }
}

fn positional_arguments(call: &mut Call<Server>) -> Result<(Vec<u8>, Function), &'static str> {
    let Some(name) = string_at(call, 1) else {
        return Err("first argument to redis.register_function must be a string");
    };
    if call.kind(2) != Kind::Function {
        return Err("second argument to redis.register_function must be a function");
    }
    call.truncate(2);
    let f = Function {
        name: name[..].into(),
        description: None,
        flags: ScriptFlags::empty(),
        usage: Rc::default(),
        function: call.keep(),
    };
    Ok((name, f))
}

/// `redis.register_function(name, callback)`, or a table with `function_name`, `callback`, `description`, `flags`.
pub(super) fn register_function(call: &mut Call<Server>) -> Returned {
    fn fail(call: &mut Call<Server>, problem: &str) -> Returned {
        push_error(call, problem.as_bytes());
        Err(Raise::Top)
    }
    if call.host().scripts.loading.is_none() {
        let problem = "redis.register_function can only be called on FUNCTION LOAD command";
        return fail(call, problem);
    }
    let read = match call.top() {
        1 => named_arguments(call),
        2 => positional_arguments(call),
        _ => Err("wrong number of arguments to redis.register_function"),
    };
    let (name, f) = match read {
        Ok(read) => read,
        Err(problem) => return fail(call, problem),
    };
    let loading = call.host().scripts.loading.as_ref();
    let problem = if !is_name(&name) {
        Some(BAD_NAME)
    } else if loading.is_some_and(|l| l.names.contains(&name[..])) {
        Some("Function already exists in the library")
    } else {
        None
    };
    if let Some(problem) = problem {
        call.drop_kept(f.function);
        return fail(call, problem);
    }
    if let Some(loading) = &mut call.host().scripts.loading {
        loading.names.insert(f.name.clone());
        loading.functions.push(f);
    }
    Ok(0)
}
