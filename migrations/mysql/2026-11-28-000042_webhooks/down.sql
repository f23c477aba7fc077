DROP TABLE webhook_readings;
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
