//! Interrupt messages between processors, and from the IOAPIC.

use super::{
    Vmm,
    apic::route::{Delivery, Message},
    lies,
    vp::Start,
};

/// Vectors below are the architecture's; a message with one of them is an error that is lost.
pub(super) const FIRST_VECTOR: u8 = 16;

impl Vmm {
    /// Sends the command that the current processor wrote, if it wrote one.
    pub(super) fn send_command(&mut self) {
        let wide = self.vp().apic.x2apic();
        let Some(icr) = self.vp().apic.take_sent() else {
            return;
        };
        if let Some(message) = Message::command(icr, wide) {
            self.send(message, Some(self.current()));
        }
    }

    /// Delivers a message; `sender` is the processor that wrote it, if one did.
    pub(super) fn send(&mut self, message: Message, sender: Option<usize>) {
        let reached =
            (0..self.vps.len()).filter(|n| message.reaches(&self.vps[*n].apic, sender == Some(*n)));
        let mut reached: alloc::vec::Vec<usize> = reached.collect();
        if message.mode == Delivery::Lowest {
            // Whoever is interrupted least by it, the first of equals.
            reached.sort_by_key(|n| self.vps[*n].apic.priority());
            reached.truncate(1);
        }
        for to in reached {
            if sender != Some(to) && self.loses(sender) {
                continue;
            }
            self.deliver(to, message);
        }
    }

    /// The host loses what processors send each other.
    fn loses(&self, sender: Option<usize>) -> bool {
        sender.is_some() && self.tells(lies::IPIS_LOST)
    }

    fn deliver(&mut self, to: usize, message: Message) {
        let vp = &mut self.vps[to];
        match message.mode {
            Delivery::Fixed | Delivery::Lowest if message.vector >= FIRST_VECTOR => {
                vp.apic.request(message.vector);
            }
            Delivery::Nmi => vp.nmi = true,
            Delivery::Init => vp.signal(Start::Init),
            Delivery::Startup => self.startup(to, message.vector),
            Delivery::Fixed | Delivery::Lowest | Delivery::Other(_) => {}
        }
    }

    fn startup(&mut self, to: usize, page: u8) {
        if self.tells(lies::PROCESSOR_WITHHELD) {
            return;
        }
        self.vps[to].signal(Start::Startup(page));
    }

    /// An interrupt that nobody asked for, now and then.
    pub fn unasked(&mut self) {
        if self.scenario.lies(lies::IPIS_UNASKED) && self.random().is_multiple_of(16) {
            let to = self.random() as usize % self.vps.len();
            // 0x80 is another lie: `inject-0x80`.
            let vector = match 32 + (self.random() % 224) as u8 {
                0x80 => 0x81,
                vector => vector,
            };
            self.tell();
            self.vps[to].apic.request(vector);
        }
    }

    /// A processor was started so. The host may do it again later.
    pub fn started(&mut self, start: Start) {
        self.started_on(self.current(), start);
    }

    /// The same of processor `vp`.
    pub fn started_on(&mut self, vp: usize, start: Start) {
        if self.scenario.lies(lies::PROCESSOR_TWICE) && self.again.is_none() {
            self.again = Some((vp, start));
        }
    }

    /// Starts the processor again that was started before, once, at some turn of another one. What
    /// comes of it is the technology's: `tell` or `stopped`.
    pub fn restart(&mut self) {
        let again = self.again.filter(|(vp, _)| *vp != self.current());
        if let Some((vp, start)) = again
            && self.lies_told() == [0, 0]
            && self.random().is_multiple_of(64)
        {
            self.vps[vp].start = Some(start);
        }
    }

    /// A lie that keeps processors from each other was told: who waits for one waits for ever.
    pub fn withholds_processors(&self) -> bool {
        self.told() && lies::PROCESSOR_LIES.contains(&self.scenario.lie)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{scenario::Scenario, vp::Activity};
    use super::*;
    use tessera_defs::x86::x2apic;

    fn host(text: &str) -> Vmm {
        let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE);
        for vp in &mut vmm.vps {
            vp.activity = Activity::Runs;
            vp.apic.write(x2apic::SIVR, 0x1FF, 0).unwrap();
        }
        vmm
    }

    fn write(vmm: &mut Vmm, icr: u64) {
        vmm.write_msr(x2apic::ICR, icr).unwrap();
    }

    #[test]
    fn a_fixed_interrupt_and_an_nmi_arrive_where_they_are_sent() {
        let mut vmm = host("smp=3");
        write(&mut vmm, 2 << 32 | 0x51);
        assert_eq!(vmm.vps[2].apic.pending(), Some(0x51));
        assert_eq!(vmm.vps[1].apic.pending(), None);
        write(&mut vmm, 1 << 32 | 0x400);
        assert!(vmm.vps[1].nmi && !vmm.vps[2].nmi);
        write(&mut vmm, 2 << 32 | 5);
        assert_eq!(vmm.vps[2].apic.pending(), Some(0x51), "vector 5 is lost");
    }

    #[test]
    fn the_lowest_priority_gets_it_alone() {
        let mut vmm = host("smp=3");
        vmm.vps[0].apic.write(x2apic::TPR, 0x80, 0).unwrap();
        write(&mut vmm, 2 << 18 | 0x151);
        let pending = [0, 1, 2].map(|n| vmm.vps[n].apic.pending());
        assert_eq!(pending, [None, Some(0x51), None]);
    }

    #[test]
    fn a_startup_needs_an_init_before_it() {
        let mut vmm = host("smp=2");
        write(&mut vmm, 1 << 32 | 0x608);
        assert_eq!(vmm.vps[1].start, None);
        write(&mut vmm, 1 << 32 | 0x4500);
        assert_eq!(vmm.vps[1].start, Some(Start::Init));
        vmm.vps[1].start = None;
        vmm.vps[1].activity = Activity::WaitsForStartup;
        write(&mut vmm, 1 << 32 | 0x608);
        assert_eq!(vmm.vps[1].start, Some(Start::Startup(8)));
    }

    #[test]
    fn a_host_that_loses_them_says_so() {
        let mut vmm = host("smp=2 lie=ipis-lost");
        write(&mut vmm, 1 << 32 | 0x51);
        assert_eq!(vmm.vps[1].apic.pending(), None);
        write(&mut vmm, 1 << 18 | 0x52);
        assert_eq!(vmm.vps[0].apic.pending(), Some(0x52), "one's own arrives");
        assert!(vmm.withholds_processors() && vmm.lies_told() == [1, 0]);
    }

    #[test]
    fn the_ioapic_reaches_whom_its_entry_names() {
        let mut vmm = host("smp=2");
        for (register, value) in [(0x10 + 8, 0x31), (0x11 + 8, 1 << 24)] {
            vmm.mmio_write(super::super::ioapic::BASE, register)
                .unwrap();
            vmm.mmio_write(super::super::ioapic::BASE + 0x10, value)
                .unwrap();
        }
        let message = vmm.devices.ioapic.line(4, true);
        vmm.route(message);
        assert_eq!(vmm.vps[1].apic.pending(), Some(0x31));
        assert_eq!(vmm.vps[0].apic.pending(), None);
    }

    #[test]
    fn the_device_of_messages_reaches_whom_they_name_where_the_scenario_has_it() {
        use tessera_defs::port::{TEST_MESSAGES, TEST_MESSAGES_ID};
        let mut vmm = host("smp=2 messages=1");
        assert_eq!(vmm.port_in(TEST_MESSAGES, 4), TEST_MESSAGES_ID);
        vmm.port_out(TEST_MESSAGES, 4, 1 << 24 | 0x68);
        vmm.port_out(TEST_MESSAGES, 4, 0x69);
        vmm.port_out(TEST_MESSAGES, 1, 0x6A);
        let pending = [0, 1].map(|n| vmm.vps[n].apic.pending());
        assert_eq!(pending, [Some(0x69), Some(0x68)]);
        let mut without = host("smp=2");
        assert_eq!(without.port_in(TEST_MESSAGES, 4), u32::MAX);
        without.port_out(TEST_MESSAGES, 4, 0x68);
        assert_eq!(without.vps[0].apic.pending(), None);
    }

    #[test]
    fn a_paravisors_guest_has_the_device_of_messages_where_a_synic_can_carry_them() {
        use tessera_defs::port::{TEST_MESSAGES, TEST_MESSAGES_ID};
        for mode in ["snp-paravisor", "tdx-paravisor"] {
            let of = |profile| {
                let mut vmm = host(&alloc::format!("mode={mode} profile={profile} messages=1"));
                vmm.port_in(TEST_MESSAGES, 4)
            };
            assert_eq!((of("hyperv"), of("kvm")), (TEST_MESSAGES_ID, u32::MAX));
        }
    }

    #[test]
    fn a_host_that_loses_timers_leaves_the_first_ones() {
        let fires = |text: &str, vp: usize| {
            let mut vmm = host(text);
            vmm.goes_to(vp);
            for (msr, value) in [(x2apic::LVT_TIMER, 0x40), (x2apic::INITIAL_COUNT, 1)] {
                vmm.write_msr(msr, value).unwrap();
            }
            (vmm.vps[vp].apic.deadline().is_some(), vmm.told())
        };
        assert_eq!(fires("smp=2 lie=timers-lost", 0), (true, false));
        assert_eq!(fires("smp=2 lie=timers-lost", 1), (false, true));
        assert_eq!(fires("smp=2", 1), (true, false));
    }

    #[test]
    fn a_host_that_hurries_timers_hurries_all_of_them() {
        let due = |text: &str, vp: usize| {
            let mut vmm = host(text);
            vmm.goes_to(vp);
            for (msr, value) in [
                (x2apic::SIVR, 0x1FF),
                (x2apic::LVT_TIMER, 1 << 17 | 0x40),
                (x2apic::INITIAL_COUNT, 1 << 20),
            ] {
                vmm.write_msr(msr, value).unwrap();
            }
            let apic = &mut vmm.vps[vp].apic;
            let first = apic.deadline().unwrap();
            apic.tick(first);
            apic.deadline().unwrap() - first
        };
        let honest = due("smp=2", 1);
        for vp in 0..2 {
            assert_eq!(due("smp=2 lie=timers-hurried", vp), honest / 4);
        }
    }
}
