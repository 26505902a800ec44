//! A module made for a bench.

use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, MemArg,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// Bytes of one function.
const FUNCTION: usize = 32 << 10;

/// A program that ends at once, with functions of so many bytes in all that nobody calls. Their code is what compilers
/// have to do with: loads, stores, arithmetic and branches on local variables.
pub(crate) fn of_code(bytes: usize) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let mut start = Function::new([]);
    start.instructions().end();
    functions.function(0);
    code.function(&start);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0);
    exports.export("memory", ExportKind::Memory, 0);
    for number in 0..bytes.div_ceil(FUNCTION) {
        let mut body = Function::new([(4, ValType::I32)]);
        let mut step = number;
        while body.byte_len() < FUNCTION {
            statement(&mut body, step);
            step = step.wrapping_mul(5).wrapping_add(3);
        }
        body.instructions().end();
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&code);
    module.finish()
}

/// `a = memory[b] + c; if a { memory[c] = b }`, of other variables each time.
fn statement(body: &mut Function, step: usize) {
    let variable = |at: usize| ((step >> at) & 3) as u32;
    let (a, b, c) = (variable(0), variable(2), variable(4));
    let at = |offset: usize| MemArg {
        offset: offset as u64,
        align: 2,
        memory_index: 0,
    };
    body.instructions()
        .local_get(b)
        .i32_load(at(step & 0xfff))
        .local_get(c)
        .i32_add()
        .local_tee(a)
        .if_(BlockType::Empty)
        .local_get(c)
        .local_get(b)
        .i32_store(at(0))
        .end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_module_of_the_size_that_was_asked_for() {
        let module = of_code(1 << 20);
        assert!(module.starts_with(b"\0asm"));
        assert!((1 << 20..(1 << 20) + (1 << 16)).contains(&module.len()));
    }
}
