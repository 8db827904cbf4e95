'use strict'
class ReportExport {
  static async open() {
    return new ReportExport()
  }
  add() {}
  async close() {}
}
module.exports = { ReportExport }
