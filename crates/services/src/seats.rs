//! What one caller, and all of them together, may have open at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bounds what is open at once.
#[derive(Debug)]
pub(crate) struct Seats<Who> {
    each: usize,
    all: usize,
    taken: RefCell<BTreeMap<Who, usize>>,
}

/// One of the things that a caller may have open; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat<Who: Ord> {
    seats: Rc<Seats<Who>>,
    who: Who,
}

impl<Who: Ord + Clone> Seats<Who> {
    /// So many for each caller, and for all of them.
    pub(crate) fn new(each: usize, all: usize) -> Rc<Seats<Who>> {
        Rc::new(Seats { each, all, taken: RefCell::default() })
    }

    /// A seat for a caller, if there is one.
    pub(crate) fn take(self: &Rc<Self>, who: Who) -> Option<Seat<Who>> {
        let mut taken = self.taken.borrow_mut();
        let own = taken.get(&who).copied().unwrap_or_default();
        if own >= self.each || taken.values().sum::<usize>() >= self.all {
            return None;
        }
        taken.insert(who.clone(), own + 1);
        Some(Seat { seats: Rc::clone(self), who })
    }
}

impl<Who: Ord> Drop for Seat<Who> {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.borrow_mut();
        if let Some(own) = taken.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_come_back() {
        let seats = Seats::new(2, 3);
        let first = seats.take("a").unwrap();
        let _second = seats.take("a").unwrap();
        assert!(seats.take("a").is_none(), "too many of its own");
        let _other = seats.take("b").unwrap();
        assert!(seats.take("c").is_none(), "too many together");
        drop(first);
        assert!(seats.take("a").is_some());
        assert!(seats.take("c").is_some());
    }
}
