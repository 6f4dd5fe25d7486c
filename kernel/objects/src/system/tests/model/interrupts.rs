//! Rights that are objects, and interrupts, in the system and in the model.

use super::Pair;
use crate::system::grant::Channel;
use crate::system::interrupt::LINES;
use tessera_abi::{error::Error, kind::Kind, rights};

impl Pair {
    pub(super) fn of_kind(&self, handle: u32, kind: Kind, right: u8) -> Result<u64, Error> {
        let named = self.m.get(self.me, handle)?;
        match named.kind == kind {
            false => Err(Error::WrongKind),
            true if named.rights & right == 0 => Err(Error::NoRight),
            true => Ok(named.name),
        }
    }

    pub(super) fn grant(&mut self, kind: u8) {
        let kind = [Kind::HostChannel, Kind::Evidence, Kind::Inspection][usize::from(kind)];
        if let Ok(handle) = self.s.create_grant(kind, Channel::Hypercall(8)) {
            let name = self.fresh(kind, handle);
            self.m.objects.insert(name, (self.me, 0));
        }
    }

    pub(super) fn interrupt(&mut self, index: u8) {
        let busy = |(name, _, _): &(u64, u64, bool)| self.m.objects.contains_key(name);
        let busy = index != 0 && self.m.interrupts.get(&index).is_some_and(busy);
        match self.s.create_interrupt(index) {
            Ok((handle, made)) => {
                assert!(!busy && (index == made || (index == 0 && made > LINES)));
                let name = self.fresh(Kind::Interrupt, handle);
                self.m.objects.insert(name, (self.me, 0));
                self.m.interrupts.insert(made, (name, 0, false));
            }
            Err(error) => assert_eq!(error == Error::Busy, busy),
        }
    }

    pub(super) fn change(&mut self, name: u64) -> &mut (u64, u64, bool) {
        let mut all = self.m.interrupts.values_mut();
        all.find(|(interrupt, _, _)| *interrupt == name).unwrap()
    }

    pub(super) fn attach(&mut self, n: u8, told: u8) {
        let (handle, told) = (self.handle(n), self.handle(told));
        let result = self.s.attach(handle.into(), told.into(), 1);
        let expected = self.of_kind(handle, Kind::Interrupt, rights::RECEIVE);
        let expected = expected.and_then(|name| match told {
            0 => Ok((name, 0)),
            _ => Ok((name, self.of_kind(told, Kind::Notification, rights::SEND)?)),
        });
        assert_eq!(result.map(|_| ()), expected.map(|_| ()));
        if let Ok((name, told)) = expected {
            *self.change(name) = (name, told, false);
        }
    }

    pub(super) fn acknowledge(&mut self, n: u8) {
        let handle = self.handle(n);
        let result = self.s.acknowledge(handle.into());
        let expected = self.of_kind(handle, Kind::Interrupt, rights::RECEIVE);
        assert_eq!(result.map(|_| ()), expected.map(|_| ()));
        if let Ok(name) = expected {
            self.change(name).2 = false;
        }
    }

    /// Told where the interrupt lives, its notification lives, and the last one was acknowledged.
    pub(super) fn deliver(&mut self, index: u8) {
        let live = |name: &u64| self.m.objects.contains_key(name);
        let known = self.m.interrupts.get(&index).copied();
        let told = known.filter(|(name, told, waits)| live(name) && live(told) && !waits);
        assert_eq!(self.s.deliver_interrupt(index), told.is_some());
        if let Some((name, ..)) = told {
            self.change(name).2 = true;
        }
    }
}
