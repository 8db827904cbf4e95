// `pose4d models list`, `status`, `info` and `verify`: what is there, where, and whether it is whole.

import { EXIT } from '../exit.mjs'
import { table } from '../summary.mjs'
import { count, size } from '../units.mjs'
import { ask, CACHE_OPTIONS, exactly, JSON_OPTION, QUIET_OPTION } from './common.mjs'

