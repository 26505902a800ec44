//! A module made for a bench.

/// Bytes of one function.
const FUNCTION: usize = 32 << 10;

/// A program that ends at once, with functions of so many bytes in all that nobody calls. Their code is what compilers
/// have to do with: loads, stores, arithmetic and branches on local variables.
pub(crate) fn of_code(bytes: usize) -> Vec<u8> {
    // Four local variables of i32.
    const LOCALS: [u8; 3] = [1, 4, 0x7f];
    let functions = bytes.div_ceil(FUNCTION);
    let mut code = leb(functions + 1);
    code.extend([2, 0, 0x0b]);
    for number in 0..functions {
        let mut body = LOCALS.to_vec();
        let mut step = number;
        while body.len() < FUNCTION {
            body.extend(statement(step));
            step = step.wrapping_mul(5).wrapping_add(3);
        }
        body.push(0x0b);
        code.extend(leb(body.len()));
        code.extend(body);
    }
    let mut types = leb(functions + 1);
    types.extend(vec![0; functions + 1]);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    section(&mut module, 3, &types);
    section(&mut module, 5, &[1, 0, 1]);
    section(&mut module, 7, b"\x02\x06_start\x00\x00\x06memory\x02\x00");
    section(&mut module, 10, &code);
    module
}

/// `a = memory[b] + c; if a { memory[c] = b }`, of other variables each time.
fn statement(step: usize) -> Vec<u8> {
    let variable = |at: usize| ((step >> at) & 3) as u8;
    let (a, b, c) = (variable(0), variable(2), variable(4));
    let mut code = vec![0x20, b, 0x28, 2];
    code.extend(leb(step & 0xfff));
    code.extend([0x20, c, 0x6a, 0x22, a]);
    code.extend([0x04, 0x40, 0x20, c, 0x20, b, 0x36, 2, 0, 0x0b]);
    code
}

fn section(module: &mut Vec<u8>, id: u8, content: &[u8]) {
    module.push(id);
    module.extend(leb(content.len()));
    module.extend(content);
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
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
