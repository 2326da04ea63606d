//! The integration tests: one binary, since each one costs a link of the whole host.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod layering;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod plugins;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod stock;
#[cfg(test)]
mod support;
#[cfg(test)]
mod swarm;
#[cfg(test)]
mod templates;
#[cfg(test)]
mod watch;
