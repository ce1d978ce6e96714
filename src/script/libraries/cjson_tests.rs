//! Tests.
use super::testing::Machine;
#[test]
fn try_it() {
    let mut m = Machine::new();
    for e in ["1, 'a', {1,2}", "cjson.encode({1,2,3})", "cjson.encode(1,2)", "cjson.decode('[1,2,{\"a\":1.5}]')", "cjson.decode('[1,2')", "cmsgpack.pack(1,2)", "struct.pack('>i4', 5)", "string.find('hello', 'l+')", "string.gsub('hello', '(l)(l)', '%2x%1')", "math.random()", "string.rep('a')", "pcall(string.rep)", "cjson.encode({a=1,function() end})"] {
        println!("{e} => {}", m.eval(e));
    }
}
