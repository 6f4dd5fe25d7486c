//! Two of an array at once, in as few instructions as it takes. The library's `get_disjoint_mut`
//! is a loop over its indices, which stays one where a crate is built for size.

/// Elements `a` and `b`. None where they are the same one, or not there.
#[inline(always)]
pub fn pair<T>(items: &mut [T], a: u8, b: u8) -> Option<[&mut T; 2]> {
    let (a, b) = (usize::from(a), usize::from(b));
    if a < b {
        let (low, high) = items.split_at_mut_checked(b)?;
        Some([low.get_mut(a)?, high.first_mut()?])
    } else {
        let (low, high) = items.split_at_mut_checked(a)?;
        Some([high.first_mut()?, low.get_mut(b)?])
    }
}

#[cfg(test)]
mod tests {
    use super::pair;

    #[test]
    fn every_pair_of_an_array_is_the_one_asked_for() {
        let mut items = [10, 11, 12];
        for a in 0..4u8 {
            for b in 0..4u8 {
                let expected = (a != b && a < 3 && b < 3).then_some([10 + a, 10 + b]);
                let found = pair(&mut items, a, b).map(|pair| pair.map(|item| *item));
                assert_eq!(found, expected, "{a} {b}");
            }
        }
    }
}
