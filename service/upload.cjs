'use strict'
// A video that comes as multipart/form-data: onto the disk, its fields checked, then accepted as a job.

const fs = require('node:fs')
const { pipeline } = require('node:stream/promises')
const { BODY_TOO_LARGE, REQUEST, serviceError } = require('./errors.cjs')

const FORMATS = ['file_path', 'base64']
/** Of a request; videos have fewer. */
const MOST_FRAMES = 10_000_000
/** Of the old form, where it means all. */
const ALL_FRAMES = 999_999

const wrong = (message) => serviceError(REQUEST, message)

function wholeField(fields, name) {
  const text = fields[name]
  if (text === undefined || text === '') return undefined
  if (/^[1-9]\d{0,7}$/.test(text) && Number(text) <= MOST_FRAMES) return Number(text)
  throw wrong(
    `${name} must be a whole number from 1 to ${MOST_FRAMES}, but is ${JSON.stringify(text)}`,
  )
}

function wordField(fields, name, words) {
  const text = fields[name]
  if (text === undefined || words.includes(text)) return text
  throw wrong(`${name} must be ${words.join(' or ')}, but is ${JSON.stringify(text)}`)
}

function optionsOf(fields) {
  const maxFrames = wholeField(fields, 'max_frames')
  return {
    maxFrames: maxFrames === ALL_FRAMES ? undefined : maxFrames,
    outputFormat: wordField(fields, 'output_format', FORMATS),
    mesh: wordField(fields, 'mesh', ['true', 'false']) !== 'false',
  }
}

/** Writes the file part where it belongs, counting. */
async function save(part, upload) {
  await pipeline(part.file, fs.createWriteStream(upload.draft, { flags: 'wx', mode: 0o600 }))
  if (part.file.truncated)
    throw serviceError(BODY_TOO_LARGE, 'The video is larger than this service takes')
  if (fs.statSync(upload.draft).size === 0) throw wrong('The video file is empty')
}

/** The accepted job. Nothing is left behind of what is refused. */
async function receive(request, jobs, kind) {
  await jobs.checkRoom()
  const fields = {}
  let upload
  let name
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') {
        fields[part.fieldname] = part.value
        continue
      }
      if (part.fieldname !== 'video')
        throw wrong(`the file must be in the field video, not ${part.fieldname}`)
      name = part.filename || 'video'
      upload = jobs.upload(name)
      await save(part, upload)
    }
    if (!upload) throw wrong('A video file is required: multipart/form-data with a field `video`')
    const options = optionsOf(fields)
    const { id, file } = upload.keep()
    return await jobs.add({ id, kind, video: file, name, uploaded: true, options })
  } catch (error) {
    upload?.drop()
    throw explained(error)
  }
}

/** The parser's errors are the request's; they carry no code. */
function explained(error) {
  if (error.code === 'ENOSPC')
    return serviceError('ERR_POSE4D_DISK_FULL', 'The disk has no room for this video', {
      cause: error,
    })
  if (error.code !== undefined || error.statusCode !== undefined) return error
  return wrong(`The multipart body is malformed: ${error.message}`)
}

module.exports = { receive }
