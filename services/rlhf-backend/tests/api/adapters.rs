//! LoRA adapters through the real router.
