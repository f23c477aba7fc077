//! Are the ports free, and which ones are.

use std::net::TcpListener;

use anyhow::{Result, bail};
use web::settings::{ServiceName, Settings};

/// Checks that all six ports can be listened on, before any work is done.
///
/// # Errors
/// Naming every port that is taken and the key that changes it.
pub fn check_free(settings: &Settings) -> Result<()> {
    let mut taken = Vec::new();
    for service in ServiceName::ALL {
        for (address, key) in
            [(settings.public_socket(service), service.port_key()), (settings.private_socket(service), service.private_port_key())]
        {
            if let Err(error) = TcpListener::bind(address) {
                taken.push(format!("  {address} for {}: {error}; stop the program that uses it, or set {key}", service.as_str()));
            }
        }
    }
    if !taken.is_empty() {
        bail!("a port is taken:\n{}", taken.join("\n"));
    }
    Ok(())
}

/// Six free ports as configuration, for a system that must not be in the way of another one.
///
/// # Errors
/// When the system gives no port.
pub fn choose_free() -> Result<Vec<(String, String)>> {
    // All listeners are held until all ports are known, so that no port comes twice.
    let mut held = Vec::new();
    let mut variables = Vec::new();
    for service in ServiceName::ALL {
        for key in [service.port_key(), service.private_port_key()] {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            variables.push((key.to_owned(), listener.local_addr()?.port().to_string()));
            held.push(listener);
        }
    }
    Ok(variables)
}
