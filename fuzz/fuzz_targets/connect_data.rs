//! The data of Connect, and names on their own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::nvme::Nqn;
use wire::nvme::fabrics::ConnectData;
use wire::nvme::nqn::NQN_LEN_MAX;

fuzz_target!(|input: &[u8]| {
    if let Ok(data) = ConnectData::view(input)
        && let (Ok(subsystem), Ok(host)) = (data.subsystem(), data.host())
    {
        let written = ConnectData::new(data.host_id, data.controller_id.get(), &subsystem, &host);
        assert_eq!((written.subsystem(), written.host()), (Ok(subsystem), Ok(host)));
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let taken = Nqn::from_peer(text);
    assert_eq!(taken.is_ok(), !text.is_empty() && text.len() <= NQN_LEN_MAX);
    if let Ok(strict) = Nqn::parse(text) {
        assert_eq!(Ok(strict), taken);
        assert_eq!(strict.as_str(), text);
        assert!(text.starts_with("nqn."));
    }
    if let (Ok(nqn), false) = (taken, text.contains('\0')) {
        assert_eq!(Nqn::from_field(&nqn.to_field()), Ok(nqn));
    }
});
