//! The parity bit of seven-bit data: `parityEven7bit`, `parityOdd7bit`, `parityZero7bit`.
//!
//! Parity is taken over all eight bits of the input byte, as libmodsecurity takes it.

const TOP: u8 = 0x80;

pub(super) fn even(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().map(|&byte| if byte.count_ones() % 2 == 1 { byte | TOP } else { byte & !TOP }));
}

pub(super) fn odd(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().map(|&byte| if byte.count_ones() % 2 == 1 { byte & !TOP } else { byte | TOP }));
}

pub(super) fn zero(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.iter().map(|&byte| byte & !TOP));
}
