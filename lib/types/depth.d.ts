/** A depth network, by its name in torch.hub. */
export type DepthModel = 'DPT_Large' | 'DPT_Hybrid' | 'MiDaS' | 'MiDaS_small'

export interface DepthOptions extends CallOptions {
  /** Without it that of the engine's configuration. */
  model?: DepthModel
}

export interface DepthStreamOptions extends DepthOptions {
  /** Frames on their way at once, each with its map. @default 4 */
  maxInFlight?: number
}
