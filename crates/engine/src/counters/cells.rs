//! Numbers of 16, 32 or 64 bits side by side in words.

/// Words that hold `count` cells of `bits` bits.
pub(crate) const fn words(bits: u32, count: usize) -> usize {
    count.div_ceil(64 / bits as usize)
}

/// The largest number a cell of `bits` bits holds.
pub(crate) const fn max(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// The cell with this number.
pub(crate) fn read(words: &[u64], bits: u32, at: usize) -> u64 {
    let (word, shift) = place(bits, at);
    words.get(word).map_or(0, |word| (word >> shift) & max(bits))
}

/// Puts `value` into the cell with this number; what does not fit becomes the largest number that does.
pub(crate) fn write(words: &mut [u64], bits: u32, at: usize, value: u64) {
    let (word, shift) = place(bits, at);
    if let Some(word) = words.get_mut(word) {
        *word = (*word & !(max(bits) << shift)) | (value.min(max(bits)) << shift);
    }
}

const fn place(bits: u32, at: usize) -> (usize, u32) {
    let in_word = 64 / bits as usize;
    (at / in_word, (at % in_word) as u32 * bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_as_written_and_its_neighbors_stay() {
        for bits in [16, 32, 64] {
            let mut state = vec![0; words(bits, 7)];
            for at in 0..7 {
                write(&mut state, bits, at, at as u64 + 1);
            }
            write(&mut state, bits, 3, u64::MAX);
            let cells: Vec<u64> = (0..7).map(|at| read(&state, bits, at)).collect();
            assert_eq!(cells, [1, 2, 3, max(bits), 5, 6, 7], "{bits}");
        }
    }
}
