// Exit codes of the command line, and the two errors that carry one.

export const EXIT = {
  OK: 0,
  /** Some frames (or all of them) could not be processed; the others were. */
  FRAMES_FAILED: 1,
  /** `doctor` found something missing. */
  DOCTOR_FAILED: 1,
  /** A model file is missing or damaged; `warmup` is not complete. */
  MODELS_INCOMPLETE: 1,
  USAGE: 2,
  /** The engine, ffmpeg, a download, or a file to be written failed. */
  ENVIRONMENT: 3,
  INTERRUPTED: 130,
}

/** The command was not understood; nothing was done. */
export class UsageError extends Error {
  exitCode = EXIT.USAGE

  constructor(message, { command } = {}) {
    super(message)
    this.command = command
  }
}

/** Understood, but the machine cannot do it. */
export class EnvironmentError extends Error {
  exitCode = EXIT.ENVIRONMENT
}
