//! The virtual processors of a guest: one is in its technology's hands, the rest stand here.

use alloc::vec::Vec;

/// All but one of them, by index.
#[derive(Debug)]
pub struct Processors<T> {
    parked: Vec<Option<T>>,
    current: usize,
}

impl<T> Default for Processors<T> {
    fn default() -> Self {
        Self {
            parked: Vec::from([None]),
            current: 0,
        }
    }
}

impl<T> Processors<T> {
    /// Adds a processor, whose index is the next.
    pub fn add(&mut self, processor: T) {
        self.parked.push(Some(processor));
    }

    /// Index of the one that is not here.
    pub fn current(&self) -> usize {
        self.current
    }

    /// Exchanges it for processor `next`: `false` where it is that one, or there is none.
    pub fn switch(&mut self, in_hand: &mut T, next: usize) -> bool {
        self.switch_by(next, |processor| core::mem::swap(in_hand, processor))
    }

    /// The same by an exchange of the caller's.
    pub fn switch_by(&mut self, next: usize, exchange: impl FnOnce(&mut T)) -> bool {
        let Some(mut processor) = self.parked.get_mut(next).and_then(Option::take) else {
            return false;
        };
        exchange(&mut processor);
        self.parked[self.current] = Some(processor);
        self.current = next;
        true
    }

    /// Those that are here.
    pub fn others(&mut self) -> impl Iterator<Item = &mut T> {
        self.parked.iter_mut().flatten()
    }

    /// Processor `index`, where it is here.
    pub fn other(&mut self, index: usize) -> Option<&mut T> {
        self.parked.get_mut(index)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keeps_its_own() {
        let (mut all, mut in_hand) = (Processors::default(), 10);
        all.add(11);
        all.add(12);
        assert!(!all.switch(&mut in_hand, 0), "that one is in hand");
        assert!(all.switch(&mut in_hand, 2));
        assert_eq!((in_hand, all.current()), (12, 2));
        in_hand += 10;
        assert!(all.switch(&mut in_hand, 1) && all.switch(&mut in_hand, 2));
        assert_eq!(in_hand, 22);
        assert!(!all.switch(&mut in_hand, 3), "there is none");
        assert_eq!(all.others().map(|n| *n).collect::<Vec<_>>(), [10, 11]);
    }
}
