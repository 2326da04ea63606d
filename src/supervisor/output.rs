//! placeholder
#[derive(Debug, Clone)]
pub struct Outputs {}
impl Outputs {
    pub fn follow<E, H>(&self, _s: &std::sync::Arc<super::shared::Shared<E, H>>, _n: &crate::pod::ComponentName) {}
    pub fn ended(&self, _n: &crate::pod::ComponentName) {}
    pub async fn drain(&self, _l: std::time::Duration) {}
}
