//! Addresses: SPDK's four texts, and sockets.

use std::net::{IpAddr, SocketAddr};

use nvme::target::{Portal, Transport};

use super::params::ListenAddress;
use crate::error::{Errno, RpcError};

impl ListenAddress {
    /// The portal it means.
    pub(super) fn portal(&self) -> Result<Portal, RpcError> {
        let transport = transport(&self.trtype)?;
        let address = socket_address(&self.traddr, self.adrfam.as_deref(), self.trsvcid.as_deref())?;
        Ok(Portal { transport, address })
    }

    /// How SPDK writes an address.
    pub(super) fn of(portal: Portal) -> Self {
        let Portal { transport, address } = portal;
        Self {
            trtype: transport_name(transport).to_owned(),
            adrfam: Some(family_of(address.ip()).to_owned()),
            traddr: address.ip().to_string(),
            trsvcid: Some(address.port().to_string()),
        }
    }
}

/// The socket address that `traddr`, `adrfam` and `trsvcid` mean.
pub(crate) fn socket_address(
    traddr: &str,
    adrfam: Option<&str>,
    trsvcid: Option<&str>,
) -> Result<SocketAddr, RpcError> {
    let ip: IpAddr = traddr.parse().map_err(|_| Errno::Invalid.because("traddr is not an IP address"))?;
    let port = match trsvcid {
        None => DEFAULT_PORT,
        Some(text) => text.parse().map_err(|_| Errno::Invalid.because("trsvcid is not a TCP port"))?,
    };
    match adrfam {
        Some(family) if !family.eq_ignore_ascii_case(family_of(ip)) => {
            Err(Errno::Invalid.because("adrfam is not that of traddr"))
        }
        _ => Ok(SocketAddr::new(ip, port)),
    }
}

/// The transport that SPDK's word means.
pub(crate) fn transport(trtype: &str) -> Result<Transport, RpcError> {
    let all = [Transport::Tcp, Transport::Rdma];
    let named = |transport: &Transport| trtype.eq_ignore_ascii_case(transport_name(*transport));
    all.into_iter().find(named).ok_or_else(|| Errno::Invalid.because("trtype: there are TCP and RDMA"))
}

/// SPDK's word for a transport.
pub(crate) const fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Rdma => "RDMA",
    }
}

/// SPDK's word for the kind of an address.
pub(crate) fn family_of(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// The port of NVMe over Fabrics.
const DEFAULT_PORT: u16 = 4420;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(traddr: &str, adrfam: Option<&str>, trsvcid: Option<&str>) -> ListenAddress {
        ListenAddress {
            trtype: "tcp".into(),
            adrfam: adrfam.map(str::to_owned),
            traddr: traddr.into(),
            trsvcid: trsvcid.map(str::to_owned),
        }
    }

    #[test]
    fn addresses_are_read_and_written_as_spdk_does() {
        let portal = address("::1", Some("ipv6"), Some("4421")).portal().expect("an address");
        assert_eq!(portal.address, "[::1]:4421".parse().expect("an address"));
        assert_eq!(ListenAddress::of(portal).portal(), Ok(portal));
        let portal = Portal { transport: Transport::Rdma, ..portal };
        assert_eq!(ListenAddress::of(portal).portal(), Ok(portal));
        let other = ListenAddress { trtype: "FC".into(), ..ListenAddress::of(portal) };
        assert_eq!(other.portal().map_err(|error| error.code), Err(-22));
        assert_eq!(address("10.0.0.1", None, None).portal().map(|portal| portal.address.port()), Ok(4420));
        let wrong = [("10.0.0.1", Some("ipv6"), None), ("host", None, None), ("::1", None, Some("70000"))];
        for (traddr, adrfam, trsvcid) in wrong {
            let refused = address(traddr, adrfam, trsvcid).portal();
            assert_eq!(refused.map_err(|error| error.code), Err(-22), "{traddr}");
        }
    }
}
