//! `cmdLine`: what shells overlook is taken out of a command line.
//!
//! `" ' \ ^` vanish; `, ;` and runs of white space become one blank, which vanishes before `/` and `(`; letters become lower case.
//!
//! Source: ModSecurity Reference Manual, `cmdLine`.

pub(super) fn normalize(input: &[u8], out: &mut Vec<u8>) {
    let mut follows_blank = false;
    for &byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !follows_blank {
                    out.push(b' ');
                }
                follows_blank = true;
            }
            b'/' | b'(' => {
                if follows_blank {
                    out.pop();
                }
                follows_blank = false;
                out.push(byte);
            }
            _ => {
                follows_blank = false;
                out.push(byte.to_ascii_lowercase());
            }
        }
    }
}
