//! Masks of the same shape: each digit becomes another digit, each letter another letter of its case.
//!
//! Which one is drawn from a keyed hash of the whole secret (BLAKE3), so equal secrets get equal masks, unequal ones
//! almost surely unequal masks, and nobody without the key can tell what was there. Because every digit and letter
//! moves by at least one, a mask never equals what it hides.

/// Punctuation that carries form, not content.
const KEPT: &[u8] = b"-_.=+/:@~,;\" ";

/// Makes masks under one key.
#[derive(Clone)]
pub(super) struct Shape {
    key: [u8; 32],
}

impl Shape {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The mask of `secret`: as many characters, of the same kinds; characters beyond ASCII become `x`.
    pub(super) fn mask(&self, secret: &[u8]) -> Vec<u8> {
        let mut masked: Vec<u8> = secret
            .iter()
            .zip(self.noise(secret))
            .filter(|(byte, _)| !matches!(byte, 0x80..=0xBF)) // the rest of a UTF-8 character
            .map(|(byte, noise)| moved(*byte, noise))
            .collect();
        if masked == secret {
            masked.fill(b'x'); // nothing but punctuation
        }
        masked
    }

    /// The mask of a JSON number: a number again, without a leading zero, of the same magnitude.
    pub(super) fn mask_number(&self, number: &[u8]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(number.len());
        let mut is_leading = true;
        let mut in_exponent = false;
        let mut exponent_digits = 0;
        for (&byte, noise) in number.iter().zip(self.noise(number)) {
            in_exponent |= matches!(byte, b'e' | b'E');
            if in_exponent {
                // Kept, up to two digits, lest the number leave the range.
                exponent_digits += usize::from(byte.is_ascii_digit());
                if exponent_digits <= 2 {
                    masked.push(byte);
                }
                continue;
            }
            let new = if byte.is_ascii_digit() { moved(byte, noise) } else { byte };
            let is_zero_first = is_leading && new == b'0';
            // 0 came from another digit, so 1 or 2 differs from it.
            masked.push(if is_zero_first { if byte == b'1' { b'2' } else { b'1' } } else { new });
            is_leading &= !byte.is_ascii_digit();
        }
        masked
    }

    fn noise(&self, secret: &[u8]) -> Vec<u8> {
        let mut noise = vec![0; secret.len()];
        blake3::Hasher::new_keyed(&self.key).update(secret).finalize_xof().fill(&mut noise);
        noise
    }
}

fn moved(byte: u8, noise: u8) -> u8 {
    let turn = |first: u8, count: u8| first + (byte - first + 1 + noise % (count - 1)) % count;
    match byte {
        b'0'..=b'9' => turn(b'0', 10),
        b'a'..=b'z' => turn(b'a', 26),
        b'A'..=b'Z' => turn(b'A', 26),
        _ if KEPT.contains(&byte) => byte,
        b'*' | 0xC0..=0xFF => b'x',
        _ => b'*',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::new([7; 32]);

    #[test]
    fn a_mask_has_the_shape_of_what_it_hides() {
        for secret in ["hunter2", "4111-1111-1111-1111", "Pass word!", "eyJ.a_b-c=="] {
            let mask = String::from_utf8(SHAPE.mask(secret.as_bytes())).unwrap();
            assert_eq!(mask.len(), secret.len());
            for (a, b) in secret.chars().zip(mask.chars()) {
                assert_eq!(a.is_ascii_digit(), b.is_ascii_digit(), "{secret} {mask}");
                assert_eq!(a.is_ascii_lowercase(), b.is_ascii_lowercase(), "{secret} {mask}");
                assert!(a != b || KEPT.contains(&(a as u8)), "{secret} {mask}");
            }
        }
    }

    #[test]
    fn equal_secrets_have_equal_masks_under_one_key_only() {
        assert_eq!(SHAPE.mask(b"correct horse"), SHAPE.mask(b"correct horse"));
        assert_ne!(SHAPE.mask(b"correct horse"), SHAPE.mask(b"correct house"));
        assert_ne!(SHAPE.mask(b"correct horse"), Shape::new([8; 32]).mask(b"correct horse"));
    }

    #[test]
    fn nothing_is_left_of_secrets_without_letters() {
        assert_eq!(SHAPE.mask(b"--.."), b"xxxx");
        assert_eq!(SHAPE.mask("пароль".as_bytes()), b"xxxxxx");
        assert_eq!(SHAPE.mask(b""), b"");
    }

    #[test]
    fn a_masked_number_is_a_number() {
        for number in ["0", "7", "-12.50", "1000000", "1e308", "0.1E-7", "9"] {
            let mask = SHAPE.mask_number(number.as_bytes());
            let text = String::from_utf8(mask).unwrap();
            assert!(serde_json::from_str::<f64>(&text).is_ok(), "{number} {text}");
            assert_ne!(text, number);
        }
    }
}
