// Starts Swagger UI on the page's own schema; the assets come from this server.
const place = document.getElementById("reference");
SwaggerUIBundle({ url: place.dataset.schema, domNode: place, deepLinking: true, validatorUrl: null, persistAuthorization: false });
