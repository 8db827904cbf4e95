'use strict'
// The description of the service itself: /openapi.json.

const descriptionRoutes = (app, { openApi }) => {
  app.route({
    method: 'GET',
    url: '/openapi.json',
    config: { open: true },
    handler: async () => openApi.document,
  })
}

module.exports = descriptionRoutes
