//! Moving the parameters by a program's gradients, some of which are only made then.

use super::Program;
use crate::kernels::optimizer::{self, Descent, Moving};
use crate::plan::Phase;
use crate::update::store;
use crate::workers::{Memory, complete, descend};
use crate::{EngineError, Parameters};

/// What has become of the gradients that [`Program::descend`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Left {
    /// There are none, or they are in the store.
    Nothing,
    /// They have yet to be made, with this key.
    Key(u64),
    /// They were made and used, and are gone.
    Used,
}

impl Program {
    /// Whether [`Program::descend`] makes some of the gradients.
    pub(super) fn leaves_gradients(&self) -> bool {
        self.plan.stages.iter().any(|stage| stage.phase == Phase::Move)
    }

    /// Moves the parameters along the gradients of the last run, as [`Engine::descend`](crate::Engine::descend) does and to the same bits.
    /// Gradients that [`Request::fuse_update`](crate::Request::fuse_update) left to it are made here, and used up.
    ///
    /// # Errors
    /// [`EngineError::Parameters`] as [`Engine::descend`](crate::Engine::descend), when the store has another layout than the program was
    /// compiled for, or when the last run's gradients were used before; nothing has changed then.
    pub fn descend<'a>(
        &mut self,
        descent: Descent<'_>,
        parameters: &mut Parameters,
        state: impl IntoIterator<Item = &'a mut [f32]>,
    ) -> Result<(), EngineError> {
        self.check_layout(parameters)?;
        let length = self.gradients.len();
        let parameters = &mut parameters.values_mut()[..length];
        if self.left == Left::Used {
            return Err(used());
        }
        let mut store = store(&descent, parameters, &self.gradients, state)?;
        let Left::Key(key) = self.left else {
            let on = (self.engine.pool(), self.engine.isa());
            optimizer::descend(on, descent, &mut store, &self.elsewhere);
            return Ok(());
        };
        let moving = Moving::new(self.engine.isa(), descent, &mut store);
        let memory = Memory {
            parameters: &mut [],
            gradients: &mut [],
            arena: &mut self.arena,
            workers: &mut self.workers,
        };
        descend(
            &self.plan,
            memory,
            key,
            self.engine.pool(),
            (&moving, &self.elsewhere),
        );
        self.left = Left::Used;
        Ok(())
    }

    /// Makes the gradients of the last run that were left to [`Program::descend`], so that
    /// [`Program::gradients`] has them all.
    ///
    /// # Errors
    /// [`EngineError::Parameters`] when they were used before.
    pub fn complete_gradients(&mut self) -> Result<(), EngineError> {
        let key = match self.left {
            Left::Nothing => return Ok(()),
            Left::Key(key) => key,
            Left::Used => return Err(used()),
        };
        let memory = Memory {
            parameters: &mut [],
            gradients: &mut self.gradients,
            arena: &mut self.arena,
            workers: &mut self.workers,
        };
        complete(&self.plan, memory, key, self.engine.pool());
        self.left = Left::Nothing;
        Ok(())
    }
}

fn used() -> EngineError {
    EngineError::Parameters(
        "the gradients of the last run were used; run the program before each descent".into(),
    )
}
